"""`videoar tokenizer scenes`: measure what a tokenizer keeps of the small world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.tokenizer.weights import TokenizerName, open_weights
from videoar.cluster.cli.output import in_json, say, told_command
from videoar.cluster.ground.fields.limits import FramesPerSecond, Limits, OneOrMore, PixelFrames, Scenes


@dataclass(frozen=True, kw_only=True)
class MeasureScenes:
    """Measure what a tokenizer keeps of held-out scenes of the small world (source.kind=world).

    Reports how often colour, shape, size, direction, speed, number of objects and the camera are still read correctly
    from clips that went through the bits, compared with the true clips; and PSNR. It is the most that a generator with
    this tokenizer can reach in `videoar evaluate world`. All figures have intervals of 95 %.

    Prints tables on a terminal, and otherwise one JSON line.
    """

    weights: TokenizerName
    """Folder that `videoar tokenizer train` (RUN/tokenizer) or `import` wrote; `demo` or `world`, which ship; or an
    untrained preset: paper, paper-light, paper-2d, infinity-d32, small or tiny."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule."""
    num_frames: Annotated[PixelFrames, arg(metavar="N")] = 9
    """Pixel frames per clip, 1 + 4n."""
    fps: FramesPerSecond = 8.0
    """Frames per second."""
    scenes: Annotated[Scenes, arg(metavar="N")] = 64
    """Number of scenes with one object, and of scenes with two."""
    seed: Annotated[int, Limits(0, 10**6 - 1)] = 0
    """Seed of the scenes, which no recipe trains on; `videoar evaluate world` has the same scenes with the same
    seed."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 8
    """Clips that go through the tokenizer at once."""
    json: bool = False
    """Print the JSON line on a terminal, too."""


def scenes(words: Sequence[str], prog: str) -> int:
    options = parse(MeasureScenes, words, prog)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.world.card import tokenizer_card
    from videoar.pretrain.evaluate.world.tokenizer_alone import evaluate_scenes
    from videoar.tokenizer.config import ClipBucket

    with typed_as(schedule="size"):
        bucket = ClipBucket(schedule=options.size, num_frames=options.num_frames, fps=options.fps)
    tokenizer = open_weights(options.weights)
    with ProgressLine("tokenizer scenes") as progress:
        report = evaluate_scenes(
            tokenizer,
            bucket,
            scenes=options.scenes,
            seed=options.seed,
            batch=options.batch,
            tell=progress.counting_each("clips/s"),
        )
    say(json.dumps(report) if in_json(options.json) else tokenizer_card(report, told_command(prog, words)))
    return 0
