"""Class-conditional samples as published distances on UCF-101 count them: equally many videos of every class.

OmniTokenizer (scripts/lm_gen/ucf_gen.sh) makes 2,048 // 101 + 1 = 21 of each class, and compares 2,048 of the 2,121.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import MOST_VIDEOS
from videoar.pretrain.config import TextConfig
from videoar.pretrain.evaluate.fvd.protocol import ENOUGH
from videoar.pretrain.evaluate.made_videos.folder import seed_of
from videoar.pretrain.generate import Request


@dataclass(frozen=True, slots=True)
class ClassVideo:
    """One video of a class."""

    label: int
    index: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.label:03d}-{self.index:03d}.mp4"

    def request(self, sampled: Request) -> Request:
        """The class, and a seed of its own."""
        return replace(sampled, label=self.label, seed=seed_of(sampled.seed, self.index, f"class {self.label}"))


def num_classes(text: TextConfig) -> int:
    """Classes that weights were trained on. InputError for weights that read captions."""
    if text.kind != "label":
        problem = "were trained on captions, and a class is asked for by its label"
        remedy = "give weights that were trained on labels (model.text.kind=label)"
        raise InputError("weights", text.kind, problem, remedy)
    return text.num_classes


def videos_of_each(classes: int, *, per_class: int | None = None, total: int | None = None) -> int:
    """Videos of each class: as many as are asked for, or the fewest with which there are `total` over all classes."""
    if per_class is not None and total is not None:
        problem = (
            f"is the number of all videos, but per_class={per_class} already sets that of each of {classes} classes"
        )
        raise InputError("total", total, problem, "give one of the two")
    of_each = per_class or -(-(total or ENOUGH) // classes)
    if of_each > 1 and of_each * classes > MOST_VIDEOS:
        problem = f"of {classes} classes would be {of_each * classes} videos, but at most {MOST_VIDEOS} are made"
        raise InputError("per_class", of_each, problem, f"use {max(1, MOST_VIDEOS // classes)} or less")
    return of_each


def class_videos(classes: int, per_class: int) -> list[ClassVideo]:
    """All videos, first one of every class, so that what is made first is of all classes."""
    return [ClassVideo(label, index) for index in range(per_class) for label in range(classes)]
