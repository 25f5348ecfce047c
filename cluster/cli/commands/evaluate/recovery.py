"""`videoar evaluate recovery`: what wrong bits of the history cost the frame after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut, choose_held_out, facts, shape_of
from videoar.cluster.cli.commands.keeping import check_keeping, open_kept, say_part, tell_left_out
from videoar.cluster.cli.output import say_facts
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits

FlipRatio = Annotated[float, Limits(0, 0.5, above=True)]


@dataclass(frozen=True, kw_only=True)
class EvaluateRecovery(OnHeldOut):
    """Flip bits in the history of held-out clips, and measure how well their last frame is still predicted.

    In generation the history has wrong bits, because it was sampled. Reports the share of bits predicted right, in all
    and by scale, without flips and for each share of flips, and the drop, with intervals of 95 % over clips:
    `videoar evaluate recovery weights/ucf101_l shards/ucf101/ucf101_test`

    A scale is predicted from the true coarser scales of its frame. Figures with equal signatures may be compared.
    Prints rows on a terminal, and otherwise one JSON line, with all intervals.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --keep 75 if a signal stopped it (run it again).
    """

    flip_ratios: Annotated[tuple[FlipRatio, ...], arg(metavar="Q...")] = (0.05, 0.1, 0.2, 0.3)
    """Shares of bits to flip in all frames before the last."""


def recovery(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateRecovery, words, prog)
    check_ratios(options)
    check_keeping(options)
    return _run(options)


def _run(options: EvaluateRecovery) -> int:
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.robustness.clips import GROUP, keys_signature
    from videoar.pretrain.evaluate.robustness.recovery import VERSION, bits_of_a_frame, recovery_report, recovery_rows
    from videoar.pretrain.evaluate.signature import device_signature, weights_signature
    from videoar.pretrain.generate import VideoPipeline

    pipeline = VideoPipeline.from_pretrained(options.weights)
    shape, num_frames = shape_of(options, pipeline)
    left_out, model, window = Counter[str](), pipeline.model, pipeline.config.window

    def line(clips: str) -> str:
        return (
            f"recovery|{weights_signature(pipeline)}|{clips}|{shape.schedule}|T{num_frames}@{shape.fps:g}fps"
            f"|window{window}|{device_signature(pipeline)}|seed{options.seed}|v{VERSION}"
        )

    with choose_held_out(options, pipeline, shape, num_frames, left_out) as held, ProgressLine("recovery") as progress:
        flips = ",".join(f"{ratio:g}" for ratio in options.flip_ratios)
        kept = open_kept(options, f"{line(held.signature)}|flips={flips}", held.num_groups(GROUP))
        found = held.measured(
            kept,
            "clips",
            GROUP,
            lambda some: recovery_rows(model, some.samples, window, options.flip_ratios, options.seed),
            progress.counting("clips/s"),
        )
    tell_left_out(found, left_out)
    if options.part is not None:
        return say_part(options, len(found.rows), len(held.states), left_out=left_out)
    report = recovery_report(found.rows, bits_of_a_frame(shape.schedule, model.config.latent_dim))
    about = facts(held, shape, num_frames, left_out)
    say_facts({**report, **about, "signature": line(keys_signature(found.rows))}, asked_json=options.json)
    return 0


def check_ratios(options: EvaluateRecovery) -> None:
    """InputError for no share of flips, or one that is named twice."""
    ratios = options.flip_ratios
    if not ratios:
        raise InputError("flip_ratios", "''", "names no share of flips", "give one or more, such as 0.1 0.3")
    if len(set(ratios)) < len(ratios):
        raise InputError("flip_ratios", " ".join(map(str, ratios)), "are not distinct", "name each once")
