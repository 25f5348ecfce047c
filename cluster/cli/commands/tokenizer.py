"""`videoar tokenizer ...`: train one, measure it, see what it keeps of a clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import (
    OutFolder,
    RecipeName,
    for_a_tokenizer,
    make_folder,
    parse,
    parse_with_recipe,
    say,
)

if TYPE_CHECKING:
    import torch

    from videoar.tokenizer import VideoTokenizer

TokenizerName = Positional[Annotated[str, arg(metavar="WEIGHTS")]]


@dataclass(frozen=True, kw_only=True)
class TrainTokenizer:
    """Train a tokenizer from a recipe; the same command again resumes.

    RUN gets config.yaml, metrics.jsonl, checkpoints, and the weights in RUN/tokenizer. Any field of the recipe can be
    overridden: `videoar tokenizer train RECIPE --train.steps 1000`.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe where not given."""


def train(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(TrainTokenizer, words, prog)
    recipe = for_a_tokenizer(named)
    import torch

    from videoar.cluster.ground.progress import ProgressLine
    from videoar.configs.load import save_recipe
    from videoar.data_pipeline.sources.random_clips import open_random_clips
    from videoar.tokenizer.train import WEIGHTS
    from videoar.tokenizer.train import train as train_tokenizer

    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    run = make_folder("run", options.run or Path("runs") / recipe.name)
    save_recipe(recipe, run / "config.yaml")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with ProgressLine("tokenizer") as progress:
        clips = open_random_clips(recipe)
        train_tokenizer(recipe.tokenizer, recipe.train, clips, run, device=device, progress=progress)
    say(str(run / WEIGHTS))
    return 0


@dataclass(frozen=True, kw_only=True)
class ImportTokenizer:
    """Turn public Infinity tokenizer weights into a folder of ours, as an image tokenizer.

    A recipe's train.inflate_from names that folder to start a video tokenizer from it. With another number of bits a
    token the two layers at the latent start anew, and the output says so.
    """

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """infinity_vae_d16.pth, d24, d32 or d64."""
    out: OutFolder
    """Folder to write."""
    latent_dim: Annotated[int | None, arg(metavar="K")] = None
    """Bits a token; those of the file where not given."""


def import_weights(words: Sequence[str], prog: str) -> int:
    options = parse(ImportTokenizer, words, prog)
    from videoar.tokenizer.infinity import import_infinity

    found = import_infinity(options.file, latent_dim=options.latent_dim)
    found.tokenizer.save(options.out)
    say(json.dumps({"out": str(options.out), "hash": found.tokenizer.hash, "reinitialised": found.reinitialised}))
    return 0


@dataclass(frozen=True, kw_only=True)
class EvaluateTokenizer:
    """Measure what a tokenizer keeps of the clips in a folder, as one JSON line.

    PSNR and SSIM between each clip and its way through the bits; the entropy of a bit at each scale (1: a fair coin,
    0: constant); the share of latent frames that repeat the one before. An untrained preset is a floor to compare
    with: `videoar tokenizer evaluate tiny clips/`.
    """

    weights: TokenizerName
    """Folder that `videoar tokenizer train` wrote (RUN/tokenizer), or the name of an untrained preset."""
    clips: Positional[Annotated[Path, arg(metavar="CLIPS")]]
    """Folder of video files."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule."""
    num_frames: Annotated[int, arg(metavar="N")] = 17
    """Pixel frames a clip, 1 + 4n."""
    fps: float = 8.0
    """Frames a second that clips are sampled at."""
    max_clips: Annotated[int, arg(metavar="N")] = 16
    """At most so many clips of one file."""
    start_fraction: float = 0.0
    """Use each file from this share of its duration on: 0.8 for what `tokenizer_demo` held out."""
    captions: str = ""
    """CSV or JSON lines naming the files to use, in a column `path`; empty: all."""


def evaluate(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateTokenizer, words, prog)
    import torch

    from videoar.data_pipeline.config.datasets import SourceConfig
    from videoar.data_pipeline.encoding.footage import open_clips
    from videoar.pretrain.generate.video import to_tensor
    from videoar.tokenizer.config import ClipBucket
    from videoar.tokenizer.evaluate import evaluate as evaluate_tokenizer

    tokenizer = _open(options.weights)
    bucket = ClipBucket(schedule=options.size, num_frames=options.num_frames, fps=options.fps)
    source = SourceConfig(path=str(options.clips), captions=options.captions, start_fraction=options.start_fraction)
    clips = open_clips(source, bucket, max_clips_per_source=options.max_clips)
    with torch.inference_mode():
        found = evaluate_tokenizer(tokenizer, (to_tensor(clip).to(_device(tokenizer)) for clip in clips))
    say(json.dumps({**asdict(found), "size": options.size, "num_frames": bucket.num_frames}))
    return 0


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Send a video through a tokenizer and write what comes back: original above, reconstruction below."""

    weights: TokenizerName
    """Folder that `videoar tokenizer train` wrote (RUN/tokenizer), or the name of an untrained preset."""
    video: Positional[Annotated[Path, arg(metavar="IN")]]
    """Video or picture file."""
    out: Positional[Annotated[Path, arg(metavar="OUT.mp4")]]
    """File to write."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule."""
    num_frames: Annotated[int, arg(metavar="N")] = 33
    """At most so many pixel frames, the last ones; cut to 1 + 4n."""
    fps: float = 8.0
    """Frames a second that the video is sampled at."""


def reconstruct(words: Sequence[str], prog: str) -> int:
    options = parse(Reconstruct, words, prog)
    import numpy as np
    import torch

    from videoar.pretrain.generate.video import fit, read_video, save_mp4, to_frames, to_tensor
    from videoar.tokenizer.evaluate import reconstruct as through_bits
    from videoar.tokenizer.scales import FRAMES_PER_LATENT, ScaleSchedule

    tokenizer, schedule = _open(options.weights), ScaleSchedule.named(options.size)
    frames = read_video(options.video, options.fps, max_frames=options.num_frames)
    clip = fit(frames[: 1 + (len(frames) - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT], *schedule.pixels)
    with torch.inference_mode():
        decoded = through_bits(tokenizer, [to_tensor(clip).to(_device(tokenizer))], schedule)
        rebuilt = np.concatenate([to_frames(part)[0] for part in decoded])
    say(str(save_mp4(np.concatenate([clip, rebuilt], axis=1), options.out, options.fps)))
    return 0


def _open(name: str) -> VideoTokenizer:
    """A folder of weights, or an untrained preset."""
    import torch

    from videoar.tokenizer import open_tokenizer
    from videoar.tokenizer.config import TokenizerSource
    from videoar.tokenizer.presets import PRESETS

    source = TokenizerSource(preset=name) if name in PRESETS else TokenizerSource(path=name)
    return open_tokenizer(source).eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _device(tokenizer: VideoTokenizer) -> torch.device:
    return next(tokenizer.parameters()).device
