"""`videoar evaluate bits`: how well each frame and scale is guessed from the true bits before it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut, facts, read_held_out, shape_of
from videoar.cluster.cli.output import say
from videoar.cluster.ground.files import refuse_existing

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.robustness.clips import HeldClips
    from videoar.pretrain.generate import VideoPipeline
    from videoar.pretrain.model.pretrained import ClipShape


@dataclass(frozen=True, kw_only=True)
class EvaluateBits(OnHeldOut):
    """Guess the bits of held-out clips, each from the true ones before it: what is right, by frame and scale.

    Accuracy, and cross-entropy in nats a bit. Next to them two guesses without a model: the bits of the frame before (`copy`), and the more frequent value of each
    bit (`majority`); the gains over both have intervals of 95 % over clips. A model that does not beat both has not
    learned motion: `videoar evaluate bits weights/ucf101_l shards/ucf101/ucf101_test --picture bits.png`

    Figures with equal signatures may be compared. Prints one JSON line.
    """

    reference: Annotated[str | None, arg(metavar="CLIPS")] = None
    """Clips that the weights were trained on, for `majority`. If not given, it is that of the held-out clips
    themselves, which has seen the answers: a baseline that is a little too strong."""
    picture: Annotated[Path | None, arg(metavar="FILE")] = None
    """PNG or SVG file for two heat maps; needs matplotlib."""
    force: bool = False
    """Replace the file of --picture if it exists."""


def bits(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateBits, words, prog)
    if options.picture:
        _check_picture(options.picture, force=options.force)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.bits import evaluate_bits
    from videoar.pretrain.evaluate.signature import device_signature, weights_signature
    from videoar.pretrain.generate import VideoPipeline
    from videoar.tokenizer.scales import ScaleSchedule

    pipeline = VideoPipeline.from_pretrained(options.weights)
    shape, num_frames = shape_of(options, pipeline)
    left_out = Counter[str]()
    held = read_held_out(options, pipeline, shape, num_frames, left_out)
    reference = _reference(options, pipeline, shape, num_frames) or held
    window = pipeline.config.window
    with ProgressLine("bits") as progress:
        report = evaluate_bits(
            pipeline.model, held.samples, reference.samples, window, lambda done, total: progress(done, total, {})
        ).to_dict()
    if options.picture:
        from videoar.cluster.cli.bits_picture import draw_bits

        grids = ScaleSchedule.named(shape.schedule).grids
        draw_bits(options.picture, report, [f"{height}x{width}" for height, width in grids])
    line = (
        f"bits|{weights_signature(pipeline)}|{held.signature}|majority of {reference.signature}|{shape.schedule}"
        f"|T{num_frames}@{shape.fps:g}fps|window{window}|{device_signature(pipeline)}|v1"
    )
    say(json.dumps({**report, **facts(held, shape, num_frames, left_out), "signature": line}))
    return 0


def _check_picture(path: Path, *, force: bool) -> None:
    from videoar.benchmarks.plot import check_plot

    with typed_as(plot="picture"):
        check_plot(path)
    refuse_existing("picture", path, force=force)


def _reference(options: EvaluateBits, pipeline: VideoPipeline, shape: ClipShape, num_frames: int) -> HeldClips | None:
    """The clips for the majority; None if there are no others than the held-out ones."""
    if options.reference is None:
        return None
    chosen = replace(options, clips=options.reference, captions=None, start_fraction=None)
    with typed_as(clips="reference"):
        return read_held_out(chosen, pipeline, shape, num_frames, Counter())
