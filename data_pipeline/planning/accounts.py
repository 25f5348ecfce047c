"""Counts of every input and every clip of a plan: planned, or left out and why. The sums must agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.sources.source import Skipped

Reason = tuple[str, str]
"""(kind, reason)."""


@dataclass(slots=True)
class Accounts:
    """Counts while a plan is made."""

    num_inputs: int = 0
    """Files, table rows, tar members or drawings that were listed."""
    num_planned_inputs: int = 0
    """Inputs that give at least one clip."""
    num_candidates: int = 0
    """Clips that could be cut, variants included."""
    num_clips: int = 0
    """Clips in the plan."""
    num_without_caption: int = 0
    """Clips in the plan that have no caption."""
    num_without_text: int = 0
    """Clips in the plan that have neither a caption nor a label."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Planned inputs of kinds that need a decision, by field of `PictureConfig`."""
    inputs_out: Counter[Reason] = field(default_factory=Counter)
    """Inputs that give no clip, by reason."""
    clips_out: Counter[Reason] = field(default_factory=Counter)
    """Clips that are left out, by reason."""

    @property
    def num_done(self) -> int:
        """Inputs that are planned or left out."""
        return self.num_planned_inputs + self.inputs_out.total()

    def take(self, clip: Clip) -> None:
        """Count a clip as planned."""
        self.num_clips += 1
        self.num_without_caption += not clip.caption
        self.num_without_text += not clip.caption and clip.label is None

    def leave_out(self, item: Skipped) -> None:
        """Count an input, or clips of one, as left out."""
        if item.is_input:
            self.inputs_out[item.kind, item.reason] += 1
        else:
            self.clips_out[item.kind, item.reason] += item.num_clips

    @property
    def is_balanced(self) -> bool:
        """Whether every input and every clip is accounted for."""
        return self.num_inputs == self.num_done and self.num_candidates == self.num_clips + self.clips_out.total()

    def to_dict(self) -> dict[str, Any]:
        """The counts in the form in which a plan's head stores them."""
        return {
            "num_inputs": self.num_inputs,
            "num_planned_inputs": self.num_planned_inputs,
            "num_candidates": self.num_candidates,
            "num_clips": self.num_clips,
            "num_without_caption": self.num_without_caption,
            "num_without_text": self.num_without_text,
            "kinds": dict(sorted(self.kinds.items())),
            "inputs_out": _by_kind(self.inputs_out),
            "clips_out": _by_kind(self.clips_out),
        }


ADDED_LATER = frozenset({"kinds", "num_without_caption", "num_without_text"})
"""Counts that plans of earlier versions do not have."""


def _by_kind(counts: Counter[Reason]) -> dict[str, dict[str, int]]:
    """{kind: {reason: count}}, most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for (kind, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count:
            found.setdefault(kind, {})[reason] = count
    return found
