"""`videoar evaluate drift`: how the error of continuations grows from frame to frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut, choose_held_out, facts, shape_of
from videoar.cluster.cli.commands.keeping import check_keeping, open_kept, say_part, tell_left_out
from videoar.cluster.cli.output import say_facts
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import OneOrMore, PixelFrames, Temperature, TopP

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.robustness.drift import DriftPlan


@dataclass(frozen=True, kw_only=True)
class EvaluateDrift(OnHeldOut):
    """Continue held-out clips from their first frames, and measure by frame how far they are from the true future.

    Reports PSNR by frame and its slope in dB per frame, compared with repeating the last given frame and with the
    tokenizer alone, with intervals of 95 % over clips:
    `videoar evaluate drift weights/ucf101_l shards/ucf101/ucf101_test`

    Shards contain only bits: for them, the true future is what the tokenizer decodes from these. Figures with equal
    signatures may be compared. Prints rows on a terminal, and otherwise one JSON line, with all intervals.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --keep 75 if a signal stopped it (run it again).
    """

    given_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Number of pixel frames that the model is given, 1 + 4n; those of half the latent frames if not given."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance, written as for `videoar generate`; the default of the weights if not given."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the more likely value of a bit."""
    top_p: TopP = 1.0
    """A bit takes its more likely value if that has at least this probability; with 1, every bit is sampled."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 8
    """Number of clips that are continued at once."""


def drift(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateDrift, words, prog)
    check_keeping(options)
    return _run(options)


def _run(options: EvaluateDrift) -> int:
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.robustness.clips import keys_signature
    from videoar.pretrain.evaluate.robustness.drift import VERSION, drift_report, drift_rows
    from videoar.pretrain.evaluate.signature import device_signature, sampling_signature, weights_signature
    from videoar.pretrain.generate import VideoPipeline

    pipeline = VideoPipeline.from_pretrained(options.weights)
    shape, num_frames = shape_of(options, pipeline)
    plan, left_out = _plan(options, num_frames), Counter[str]()
    how = sampling_signature(pipeline, plan.temperature, plan.top_p, plan.guidance)  # a wrong ramp is refused here
    with choose_held_out(options, pipeline, shape, num_frames, left_out) as held, ProgressLine("drift") as progress:

        def line(clips: str) -> str:
            return (
                f"drift|{weights_signature(pipeline)}|{clips}|{'pixels' if held.has_pixels else 'shards'}"
                f"|{shape.schedule}|T{num_frames}@{shape.fps:g}fps|window{pipeline.config.window}"
                f"|given{plan.given_frames}|{how}|batch{plan.batch}"
                f"|{device_signature(pipeline)}|seed{plan.seed}|v{VERSION}"
            )

        kept = open_kept(options, line(held.signature), held.num_groups(plan.batch))
        on_done = progress.counting("clips/s")
        found = held.measured(kept, "clips", plan.batch, lambda some: drift_rows(pipeline, some, plan), on_done)
    tell_left_out(found, left_out)
    if options.part is not None:
        return say_part(options, len(found.rows), len(held.states), left_out=left_out)
    report = drift_report(found.rows, has_pixels=held.has_pixels)
    about = {"given_frames": plan.given_frames, **facts(held, shape, num_frames, left_out)}
    say_facts({**report, **about, "signature": line(keys_signature(found.rows))}, asked_json=options.json)
    return 0


def _plan(options: EvaluateDrift, num_frames: int) -> DriftPlan:
    """How clips are continued. InputError if nothing would be left to generate."""
    from videoar.pretrain.evaluate.robustness.drift import DriftPlan
    from videoar.pretrain.generate.continuation import half_of
    from videoar.tokenizer.scales import latent_frames, pixel_frames

    given = options.given_frames or pixel_frames(half_of(latent_frames(num_frames)))
    if given >= num_frames:
        problem = f"leaves nothing to generate of clips of {num_frames} frames"
        raise InputError("given_frames", given, problem, "give fewer, or add a larger --num-frames")
    return DriftPlan(
        given_frames=given,
        temperature=options.temperature,
        top_p=options.top_p,
        guidance=options.guidance,
        seed=options.seed,
        batch=options.batch,
    )
