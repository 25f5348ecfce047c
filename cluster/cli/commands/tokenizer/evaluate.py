"""`videoar tokenizer evaluate`: measure what a tokenizer keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.tokenizer.weights import TokenizerName, device_of, open_weights
from videoar.cluster.cli.output import say, warn
from videoar.cluster.ground.limits import FramesPerSecond, Limits, OneOrMore, PixelFrames


@dataclass(frozen=True, kw_only=True)
class EvaluateTokenizer:
    """Measure what a tokenizer keeps of the clips in a folder, as one JSON line.

    It reports PSNR and SSIM between each clip and its reconstruction from bits, the entropy of a bit at each scale
    (1: a fair coin, 0: constant), and the share of latent frames that repeat the previous one. An untrained preset is
    a lower bound to compare with: `videoar tokenizer evaluate tiny clips/`.
    """

    weights: TokenizerName
    """Folder that `videoar tokenizer train` wrote (RUN/tokenizer), or the name of an untrained preset."""
    clips: Positional[Annotated[Path, arg(metavar="CLIPS")]]
    """Folder of video files."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule."""
    num_frames: Annotated[PixelFrames, arg(metavar="N")] = 17
    """Pixel frames per clip, 1 + 4n."""
    fps: FramesPerSecond = 8.0
    """Frames per second that clips are sampled at."""
    max_clips: Annotated[OneOrMore, arg(metavar="N")] = 16
    """Use at most N clips of each file."""
    start_fraction: Annotated[float, Limits(0, 1, below=True)] = 0.0
    """Skip this share of each file's duration: 0.8 leaves what `tokenizer_demo` held out."""
    captions: str = ""
    """CSV or JSON lines file that names the files to use, in a column `path`; empty: use all."""


def evaluate(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateTokenizer, words, prog)
    import torch

    from videoar.data_pipeline.config.datasets import SourceConfig
    from videoar.data_pipeline.encoding.footage import open_clips
    from videoar.pretrain.generate.video import to_tensor
    from videoar.tokenizer.config import ClipBucket
    from videoar.tokenizer.evaluate import evaluate as evaluate_tokenizer

    tokenizer = open_weights(options.weights)
    with typed_as(schedule="size"):
        bucket = ClipBucket(schedule=options.size, num_frames=options.num_frames, fps=options.fps)
    source = SourceConfig(path=str(options.clips), captions=options.captions, start_fraction=options.start_fraction)
    left_out: Counter[str] = Counter()

    def tell(name: str, reason: str) -> None:
        if not left_out[reason]:
            warn(f"left out, for example {name}: {reason}")
        left_out[reason] += 1

    clips = open_clips(source, bucket, max_clips_per_source=options.max_clips, on_left_out=tell)
    with torch.inference_mode():
        found = evaluate_tokenizer(tokenizer, (to_tensor(clip).to(device_of(tokenizer)) for clip in clips))
    shape = {"size": options.size, "num_frames": bucket.num_frames}
    say(json.dumps({**asdict(found), **shape, "left_out": dict(left_out)}))
    return 0
