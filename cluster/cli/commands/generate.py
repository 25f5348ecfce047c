"""`videoar generate`: a video file from a caption, a label, a picture or a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import Weights, parse, typed_as
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, refuse_existing
from videoar.cluster.ground.limits import MAX_FRAMES, DrawingSeed, PixelFrames, Seconds, Temperature, TopP, ZeroOrMore
from videoar.tokenizer.scales import FRAMES_PER_LATENT, pixel_frames

if TYPE_CHECKING:
    from videoar.pretrain.generate import VideoPipeline


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make a video from a caption or a label, animate a picture, or continue a clip.

    `videoar generate WEIGHTS --prompt "a red square moves right" --out square.mp4`
    `videoar generate WEIGHTS --prompt "" --video clip.mp4 --num-frames 33 --out continued.mp4`

    The result has the size and frame rate of training. Of a clip it holds the last frames that are continued, as the
    tokenizer shows them, and what follows.
    """

    weights: Weights
    """Folder that `videoar export` wrote."""
    out: Annotated[Path, arg(metavar="FILE.mp4")] = Path("video.mp4")
    """File to write; one that exists is refused without --force."""
    prompt: Annotated[str | None, arg(metavar="TEXT")] = None
    """Caption, for weights trained on captions."""
    label: Annotated[ZeroOrMore | None, arg(metavar="N")] = None
    """Number of the class, for weights trained on labels."""
    text_encoder: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of the T5 encoder, for weights trained on its states; the folder used in training if not given."""
    image: Annotated[Path | None, arg(metavar="FILE")] = None
    """Picture to animate: it becomes the first frame."""
    video: Annotated[Path | None, arg(metavar="FILE")] = None
    """Clip to continue."""
    given_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """How many of the clip's last pixel frames to continue from, 1 + 4n; half of the result if not given."""
    num_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Pixel frames of the result, 1 + 4n, including the given ones; as in training if not given."""
    seconds: Annotated[Seconds | None, arg(metavar="S")] = None
    """Duration of the result, rounded up to a length that the model can make; use it instead of --num-frames."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on; the largest if not given."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance: `t2v`, `ucf101`, a constant such as 3 (1 is off), or four corners such as 5,4,4,3; if not
    given, that of the recipe, or 1 if it trained without text dropout."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the likelier bit."""
    top_p: TopP = 1.0
    """A bit whose likelier value has at least this probability takes it; 1 keeps both values of every bit."""
    seed: DrawingSeed = 0
    """Seed of the sampling: the same seed gives the same video on the same device."""
    force: bool = False
    """Replace the file if it exists."""


def generate(words: Sequence[str], prog: str) -> int:
    options = parse(Generate, words, prog)
    _check_seconds(options)
    _check_out(options)
    from videoar.pretrain.generate import VideoPipeline

    pipeline = VideoPipeline.from_pretrained(options.weights, text_encoder=options.text_encoder)
    encoder = {"path": "text_encoder"} if options.text_encoder else {}
    with typed_as(schedule="size", **encoder):
        video = pipeline(
            options.prompt,
            label=options.label,
            image=options.image,
            video=options.video,
            given_frames=options.given_frames,
            num_frames=_num_frames(options, pipeline),
            schedule=options.size,
            guidance=options.guidance,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
        )
    say(str(video.save(options.out)))
    return 0


def _num_frames(options: Generate, pipeline: VideoPipeline) -> int | None:
    """Pixel frames of the result, also from a duration at the frame rate of its size."""
    if options.seconds is None:
        return options.num_frames
    frames = options.seconds * pipeline.shape(options.size).fps
    if frames > MAX_FRAMES:
        longest = MAX_FRAMES / pipeline.shape(options.size).fps
        raise InputError("seconds", options.seconds, f"is more than {MAX_FRAMES} frames", f"use {longest:g} or less")
    return pixel_frames(1 + math.ceil(max(0.0, frames - 1) / FRAMES_PER_LATENT))


def _check_seconds(options: Generate) -> None:
    """InputError if --num-frames is given as well."""
    if options.seconds is not None and options.num_frames is not None:
        raise InputError("seconds", options.seconds, "is given together with num_frames", "give one of them")


def _check_out(options: Generate) -> None:
    """Refuse a file that cannot be written before a minute is spent on sampling."""
    out = options.out
    refuse_existing("out", out, force=options.force)
    if out.suffix.lower() != ".mp4":
        raise InputError("out", out, "is not the name of an MP4 file", "let it end in .mp4")
    check_folder("out", out.parent)
