"""`videoar evaluate class-samples`: the class-conditional videos whose distance from real ones is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import OutFolder, Weights, parse, typed_as
from videoar.cluster.cli.commands.evaluate.folder_sampling import FolderSampling, make_folder
from videoar.cluster.cli.output import say
from videoar.cluster.ground.files import check_folder
from videoar.cluster.ground.limits import OneOrMore


@dataclass(frozen=True, kw_only=True)
class ClassSamples(FolderSampling):
    """Make equally many videos of every class, in a folder that `videoar evaluate fvd` compares with real ones.

    The file of a video is named by its label and its index: 003-020.mp4. Without options there are at least 2,048
    videos, of which a published protocol draws 2,048: of the 101 classes of UCF-101 these are 21 each, 2,121 in all.

    Rerunning the command makes what is missing. Processes that share the work each take a part:
    `videoar evaluate class-samples WEIGHTS OUT --part 1/8`

    OUT.json, next to the folder, records weights and sampling; others are refused there. Prints one JSON line.
    """

    weights: Weights
    """Folder that `videoar export` wrote, of weights that were trained on labels (model.text.kind=label)."""
    out: OutFolder
    """Folder of the videos: a new or an empty one, or that of an interrupted run of this command."""
    per_class: Annotated[OneOrMore | None, arg(metavar="N")] = None
    """Videos of each class; by --total if not given."""
    total: Annotated[OneOrMore | None, arg(metavar="N")] = None
    """Videos of all classes, rounded up to equally many of each; 2048 if neither this nor --per-class is given."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 16
    """Videos that are made at once."""


def class_samples(words: Sequence[str], prog: str) -> int:
    options = parse(ClassSamples, words, prog)
    check_folder("out", options.out)
    from videoar.pretrain.evaluate.class_videos import class_videos, num_classes, videos_of_each
    from videoar.pretrain.generate import VideoPipeline

    with typed_as(schedule="size"):
        pipeline = VideoPipeline.from_pretrained(options.weights)
        classes = num_classes(pipeline.config.model.text)
        per_class = videos_of_each(classes, per_class=options.per_class, total=options.total)
        report = make_folder(pipeline, options, class_videos(classes, per_class), options.out, "classes")
    say(json.dumps({**report, "classes": classes, "per_class": per_class}))
    return 0
