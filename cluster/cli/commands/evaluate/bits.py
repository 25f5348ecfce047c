"""`videoar evaluate bits`: how well each frame and scale is guessed from the true bits before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut, choose_held_out, facts, shape_of
from videoar.cluster.cli.commands.keeping import check_keeping, open_kept, say_part, tell_left_out
from videoar.cluster.cli.output import say_facts
from videoar.cluster.ground.files import refuse_existing

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.kept import KeptRows, Measured, Row
    from videoar.pretrain.evaluate.robustness.clips import HeldClips, HeldOut
    from videoar.pretrain.generate import VideoPipeline
    from videoar.pretrain.model.pretrained import ClipShape


@dataclass(frozen=True, kw_only=True)
class EvaluateBits(OnHeldOut):
    """Measure how well each bit of held-out clips is predicted from the true bits before it, by frame and scale.

    Reports accuracy, and cross-entropy in nats per bit, next to two baselines without a model: the bits of the previous
    frame (`copy`), and the more frequent value of each bit (`majority`). The gains over both have intervals of 95 %
    over clips. A model that does not beat both has not learned motion:
    `videoar evaluate bits weights/ucf101_l shards/ucf101/ucf101_test --picture bits.png`

    Figures with equal signatures may be compared. Prints rows on a terminal, and otherwise one JSON line, with all
    intervals.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --keep 75 if a signal stopped it (run it again).
    """

    reference: Annotated[str | None, arg(metavar="CLIPS")] = None
    """Training clips from which `majority` is counted. If not given, it is counted from the held-out clips themselves:
    a baseline that is a little too strong, because it has seen the answers."""
    picture: Annotated[Path | None, arg(metavar="FILE")] = None
    """PNG or SVG file for two heat maps; needs matplotlib."""
    force: bool = False
    """Replace the file of --picture if it exists."""


def bits(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateBits, words, prog)
    check_keeping(options)
    if options.picture:
        _check_picture(options.picture, force=options.force)
    return _run(options)


def _run(options: EvaluateBits) -> int:
    from videoar.pretrain.evaluate.bits import VERSION
    from videoar.pretrain.evaluate.robustness.clips import GROUP, keys_signature
    from videoar.pretrain.evaluate.signature import device_signature, weights_signature
    from videoar.pretrain.generate import VideoPipeline

    pipeline = VideoPipeline.from_pretrained(options.weights)
    shape, num_frames = shape_of(options, pipeline)
    left_out = Counter[str]()

    def line(clips: str, of_majority: str) -> str:
        return (
            f"bits|{weights_signature(pipeline)}|{clips}|majority of {of_majority}|{shape.schedule}"
            f"|T{num_frames}@{shape.fps:g}fps|window{pipeline.config.window}|{device_signature(pipeline)}|v{VERSION}"
        )

    with ExitStack() as opened:
        held = opened.enter_context(choose_held_out(options, pipeline, shape, num_frames, left_out))
        reference = _reference(options, pipeline, shape, num_frames)
        others = held if reference is None else opened.enter_context(reference)
        groups = sum(clips.num_groups(GROUP) for clips in (held, reference) if clips is not None)
        kept = open_kept(options, line(held.signature, others.signature), groups)
        found = _measured("bits", kept, held, partial(_rows, pipeline))
        of_reference = found if reference is None else _measured("reference", kept, reference, _ones)
    tell_left_out(found, left_out)
    if options.part is not None:
        counts = {"reference": 0 if reference is None else len(of_reference.rows)}
        return say_part(options, len(found.rows), len(held.states), **counts, left_out=left_out)
    report = _report(options, found.rows, of_reference.rows, shape)
    signature = line(keys_signature(found.rows), keys_signature(of_reference.rows))
    say_facts({**report, **facts(held, shape, num_frames, left_out), "signature": signature}, asked_json=options.json)
    return 0


def _measured(task: str, kept: KeptRows, clips: HeldOut, measure: Callable[[HeldClips], Sequence[Row]]) -> Measured:
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.robustness.clips import GROUP

    with ProgressLine(task) as progress:
        return clips.measured(kept, task, GROUP, measure, progress.counting("clips/s"))


def _rows(pipeline: VideoPipeline, some: HeldClips) -> list[Row]:
    from videoar.pretrain.evaluate.bits import bit_row

    return [bit_row(pipeline.model, sample, pipeline.config.window) for sample in some.samples]


def _ones(some: HeldClips) -> list[Row]:
    from videoar.pretrain.evaluate.bits import count_ones

    return [{"ones": ones.tolist()} for ones in count_ones(some.samples)]


def _report(
    options: EvaluateBits, rows: Sequence[Row], of_reference: Sequence[Row], shape: ClipShape
) -> dict[str, Any]:
    """The figures; and the heat maps, if they are asked for."""
    import numpy as np

    from videoar.pretrain.evaluate.bits import bit_report
    from videoar.tokenizer.scales import ScaleSchedule

    schedule = ScaleSchedule.named(shape.schedule)
    report = bit_report(rows, np.array([row["ones"] for row in of_reference]), schedule).to_dict()
    if options.picture:
        from videoar.cluster.cli.bits_picture import draw_bits

        draw_bits(options.picture, report, [f"{height}x{width}" for height, width in schedule.grids])
    return report


def _check_picture(path: Path, *, force: bool) -> None:
    from videoar.benchmarks.plot import check_plot

    with typed_as(plot="picture"):
        check_plot(path)
    refuse_existing("picture", path, force=force)


def _reference(options: EvaluateBits, pipeline: VideoPipeline, shape: ClipShape, num_frames: int) -> HeldOut | None:
    """The clips for the majority; None if there are no others than the held-out ones."""
    if options.reference is None:
        return None
    chosen = replace(options, clips=options.reference, captions=None, start_fraction=None)
    with typed_as(clips="reference"):
        return choose_held_out(chosen, pipeline, shape, num_frames, Counter())
