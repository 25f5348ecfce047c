"""Counts of every input, clip and second of a plan: planned, or left out and why. The sums must agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.seconds import in_seconds, microseconds
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
    """Planned inputs of special kinds, by field of `PictureConfig`."""
    inputs_out: Counter[Reason] = field(default_factory=Counter)
    """Inputs that give no clip, by reason."""
    clips_out: Counter[Reason] = field(default_factory=Counter)
    """Clips that are left out, by reason."""
    num_unmeasured: int = 0
    """Inputs of unknown length: they were not opened, or could not be."""
    length_us: int = 0
    """Microseconds of all files that were opened; a file that is several inputs counts once."""
    shown_us: int = 0
    """Microseconds of these that clips of the plan show; overlaps count once."""
    time_out: Counter[Reason] = field(default_factory=Counter)
    """Microseconds of these that no clip of the plan shows, by reason."""

    num_expected: int | None = None
    """Total number of inputs, if all are listed before the first one is examined; not part of the plan."""
    num_recalled: int = 0
    """Inputs that an interrupted planning run had already examined; not part of the plan."""

    @property
    def num_done(self) -> int:
        """Inputs that are planned or left out."""
        return self.num_planned_inputs + self.inputs_out.total()

    def take(self, clip: Clip) -> None:
        """Count a clip as planned."""
        self.num_clips += 1
        self.num_without_caption += not clip.caption
        self.num_without_text += not clip.caption and clip.label is None
        self.shown_us += microseconds(clip.new_s)

    def leave_out(self, item: Skipped) -> None:
        """Count an input, or clips of one, as left out."""
        reason = item.kind, item.reason
        if item.is_input:
            self.inputs_out[reason] += 1
            self.num_unmeasured += item.seconds is None
        else:
            self.clips_out[reason] += item.num_clips
        self.time_out[reason] += microseconds(item.seconds or 0.0)

    @property
    def is_balanced(self) -> bool:
        """Whether every input, every clip and every second is accounted for."""
        return (
            self.num_inputs == self.num_done
            and self.num_candidates == self.num_clips + self.clips_out.total()
            and self.length_us == self.shown_us + self.time_out.total()
        )

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
            "num_unmeasured": self.num_unmeasured,
            "length_s": in_seconds(self.length_us),
            "shown_s": in_seconds(self.shown_us),
            "seconds_out": {
                kind: {reason: in_seconds(time) for reason, time in reasons.items()}
                for kind, reasons in _by_kind(self.time_out).items()
            },
        }


SECONDS = frozenset({"num_unmeasured", "length_s", "shown_s", "seconds_out"})
"""Where each second went; plans of earlier versions do not have it."""
ADDED_LATER = frozenset({"kinds", "num_without_caption", "num_without_text"}) | SECONDS
"""Counts that plans of earlier versions do not have."""


def _by_kind(counts: Counter[Reason]) -> dict[str, dict[str, int]]:
    """{kind: {reason: count}}, most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for (kind, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count:
            found.setdefault(kind, {})[reason] = count
    return found
