"""`videoar evaluate class-samples`: the class-conditional videos whose distance from real ones is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import OutFolder, Weights, parse, typed_as
from videoar.cluster.cli.commands.evaluate.folder_sampling import FolderSampling, make_folder
from videoar.cluster.cli.output import say
from videoar.cluster.ground.fields.limits import OneOrMore, Videos
from videoar.cluster.ground.files import check_folder

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.made_videos.of_classes import ClassVideo
    from videoar.pretrain.model.pretrained import ExportConfig


@dataclass(frozen=True, kw_only=True)
class ClassSamples(FolderSampling):
    """Make the same number of videos for every class, in a folder that `videoar evaluate fvd` compares with real ones.

    The file of a video is named by its label and its index: 003-020.mp4. Without options it makes at least 2,048
    videos, the number that a published protocol draws: 21 for each of the 101 classes of UCF-101, 2,121 in all.

    Rerunning the command makes what is missing. Processes that share the work each take a part:
    `videoar evaluate class-samples WEIGHTS OUT --part 1/8`

    OUT.json, next to the folder, records weights, sampling and counts. A rerun with other settings is refused; a larger
    number of videos keeps the existing ones. Prints one JSON line.

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 stopped by a signal (run it again).
    """

    weights: Weights
    """Folder that `videoar export` wrote, of weights that were trained on labels (model.text.kind=label)."""
    out: OutFolder
    """Folder of the videos: a new or an empty one, or one that this command has filled."""
    per_class: Annotated[Videos | None, arg(metavar="N")] = None
    """Number of videos per class; computed from --total if not given."""
    total: Annotated[Videos | None, arg(metavar="N")] = None
    """Number of videos in all, rounded up to the same number per class; 2048 if --per-class is not given either."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 16
    """Number of videos that are made at once."""


def class_samples(words: Sequence[str], prog: str) -> int:
    options = parse(ClassSamples, words, prog)
    check_folder("out", options.out)
    from videoar.pretrain.generate import VideoPipeline

    with typed_as(schedule="size"):
        pipeline = VideoPipeline.from_pretrained(options.weights, graphs=options.graphs)
        videos = class_videos_of(options, pipeline.config)
        report = make_folder(pipeline, options, videos, options.out, "classes")
    classes = pipeline.config.model.text.num_classes
    say(json.dumps({**report, "classes": classes, "per_class": len(videos) // classes}))
    return 0


def class_videos_of(options: ClassSamples, config: ExportConfig) -> list[ClassVideo]:
    """The videos of all parts. InputError for weights that were trained on captions."""
    from videoar.pretrain.evaluate.made_videos.of_classes import class_videos, num_classes, videos_of_each

    classes = num_classes(config.model.text)
    return class_videos(classes, videos_of_each(classes, per_class=options.per_class, total=options.total))
