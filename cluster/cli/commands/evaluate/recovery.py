"""`videoar evaluate recovery`: what wrong bits of the history cost the frame after them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut, facts, read_held_out, shape_of
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.limits import Limits

FlipRatio = Annotated[float, Limits(0, 0.5, above=True)]


@dataclass(frozen=True, kw_only=True)
class EvaluateRecovery(OnHeldOut):
    """Flip bits of the history of held-out clips, and measure how well their last frame is guessed all the same.

    In generation the history has wrong bits, because it was sampled. The share of bits guessed right, of all and by
    scale, without flips and for each share of flips, and the drop, with intervals of 95 % over clips:
    `videoar evaluate recovery weights/ucf101_l shards/ucf101/ucf101_test`

    A scale is guessed from the true coarser scales of its frame. Figures with equal signatures may be compared. Prints
    one JSON line.
    """

    flip_ratios: Annotated[tuple[FlipRatio, ...], arg(metavar="Q...")] = (0.05, 0.1, 0.2, 0.3)
    """Shares of the bits of all frames before the last that are flipped."""


def recovery(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateRecovery, words, prog)
    check_ratios(options)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.robustness.recovery import VERSION
    from videoar.pretrain.evaluate.robustness.recovery import recovery as measured
    from videoar.pretrain.evaluate.signature import device_signature, weights_signature
    from videoar.pretrain.generate import VideoPipeline

    pipeline = VideoPipeline.from_pretrained(options.weights)
    shape, num_frames = shape_of(options, pipeline)
    left_out = Counter[str]()
    held = read_held_out(options, pipeline, shape, num_frames, left_out)
    window = pipeline.config.window
    with ProgressLine("recovery") as progress:
        found = measured(
            pipeline.model,
            held.samples,
            window,
            options.flip_ratios,
            options.seed,
            lambda done, total: progress(done, total, {}),
        )
    line = (
        f"recovery|{weights_signature(pipeline)}|{held.signature}|{shape.schedule}|T{num_frames}@{shape.fps:g}fps"
        f"|window{window}|{device_signature(pipeline)}|seed{options.seed}|v{VERSION}"
    )
    say(json.dumps({**found, **facts(held, shape, num_frames, left_out), "signature": line}))
    return 0


def check_ratios(options: EvaluateRecovery) -> None:
    """InputError for no share of flips, or one that is named twice."""
    ratios = options.flip_ratios
    if not ratios or len(set(ratios)) < len(ratios):
        raise InputError("flip_ratios", " ".join(map(str, ratios)) or "''", "are not distinct", "name each once")
