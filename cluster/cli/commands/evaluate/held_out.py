"""What the commands on held-out clips have in common: which clips are read, in which shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import Weights, if_no_clips, typed_as
from videoar.cluster.cli.commands.keeping import Keeping
from videoar.cluster.cli.output import telling
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import DrawingSeed, Limits, OneOrMore, PixelFrames

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.robustness.clips import HeldOut
    from videoar.pretrain.generate import VideoPipeline
    from videoar.pretrain.model.pretrained import ClipShape

_Fraction = Annotated[float, Limits(0, 1, below=True)]


@dataclass(frozen=True, kw_only=True)
class OnHeldOut(Keeping):
    """Weights, and the clips that they are measured on."""

    weights: Weights
    """Folder that `videoar export` wrote; or `small-world`, which ships."""
    clips: Positional[Annotated[str, arg(metavar="CLIPS")]]
    """Clips that the weights were not trained on: a prepared dataset (such as shards/ucf101/ucf101_test), or a folder
    of videos, each with its caption in a text file next to it."""
    max_clips: Annotated[OneOrMore, arg(metavar="N")] = 64
    """Use at most N clips, evenly spread over all."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on; if not given, the first that was trained on
    videos."""
    num_frames: Annotated[PixelFrames | None, arg(metavar="N")] = None
    """Pixel frames of a clip, 1 + 4n; as in training if not given."""
    captions: Annotated[str | None, arg(metavar="TABLE")] = None
    """For a folder: CSV or JSON lines file with the columns `path`, and `caption` or `label`."""
    start_fraction: _Fraction | None = None
    """For a folder: skip this share at the start of each video; 0.8 leaves what training on the first 0.8 held out."""
    seed: DrawingSeed = 0
    """Seed of all random draws; the choice of clips does not depend on it."""
    json: bool = False
    """Print the JSON line on a terminal, too."""


def shape_of(options: OnHeldOut, pipeline: VideoPipeline) -> tuple[ClipShape, int]:
    """The shape of the clips, and how many pixel frames they have. InputError for clips of a single latent frame."""
    videos = [shape.schedule for shape in pipeline.config.shapes if shape.num_frames > 1]
    with typed_as(schedule="size"):
        shape = pipeline.shape(options.size or next(iter(videos), None))
    num_frames = options.num_frames or shape.num_frames
    if num_frames == 1:
        field, value = ("num_frames", 1) if options.num_frames else ("size", shape.schedule)
        problem = "means single pictures, and this command compares frames that follow each other"
        raise InputError(field, value, problem, "use 5 frames or more, and weights that were trained on video")
    return shape, num_frames


def choose_held_out(
    options: OnHeldOut, pipeline: VideoPipeline, shape: ClipShape, num_frames: int, left_out: Counter[str]
) -> HeldOut:
    """The clips, with progress. Counts the reasons why others are left out, and warns once for each reason."""
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.config.datasets import SourceConfig
    from videoar.pretrain.evaluate.robustness.clips import clips_of_folder, clips_of_shards, is_dataset

    smaller = "--num-frames or --start-fraction" if options.start_fraction else "--num-frames"
    remedy = f"give longer videos, of at least {shape.fps:g} frames/s, or a smaller {smaller}"
    with typed_as(path="clips", url="clips"), if_no_clips(remedy):
        if is_dataset(options.clips):
            _refuse_for_shards(options)
            return clips_of_shards(pipeline, options.clips, shape, num_frames, options.max_clips)
        source = SourceConfig(
            path=options.clips, captions=options.captions or "", start_fraction=options.start_fraction or 0.0
        )
        with ProgressLine("choosing clips") as line:
            return clips_of_folder(
                pipeline,
                source,
                shape,
                num_frames,
                options.max_clips,
                on_left_out=telling(left_out),
                on_progress=lambda accounts: line(accounts.num_clips, None, {}),
            )


def facts(held: HeldOut, shape: ClipShape, num_frames: int, left_out: Counter[str]) -> dict[str, Any]:
    """What every report on held-out clips says about them."""
    return {
        "size": shape.schedule,
        "num_frames": num_frames,
        "fps": shape.fps,
        "from": "pixels" if held.has_pixels else "shards",
        "left_out": dict(left_out),
    }


def _refuse_for_shards(options: OnHeldOut) -> None:
    for name in ("captions", "start_fraction"):
        if getattr(options, name) is not None:
            problem = "is for folders of videos only; these shards have captions and are cut already"
            raise InputError(name, getattr(options, name), problem, "leave it out")
