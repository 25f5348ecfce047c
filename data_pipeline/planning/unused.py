"""Why a moment of a file is in no clip, although nothing was left out there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.planning.accounts import Reason
from videoar.data_pipeline.planning.examine import Examined
from videoar.data_pipeline.planning.seconds import Unclaimed, in_seconds

UNUSED = "unused"
"""The kind of these reasons: nothing is wrong with what they leave out."""
AFTER_LAST = "is what remains after the last clip of a film or shot"
BETWEEN = "lies between two clips (stride_s)"
NOT_NAMED = "is a part of a film that no row of the table names"


class FileSeconds:
    """The seconds of one file, which may be several inputs: what claims them, and why the rest is not used."""

    def __init__(self, dataset: DatasetConfig, inputs: Sequence[Examined]) -> None:
        self._inputs, self._source = inputs, dataset.source
        duration_s = inputs[0].duration_s
        self._time = Unclaimed(duration_s or 0.0)
        self.is_known = duration_s is not None
        """Whether the file could be opened."""
        self.length = self._time.length
        """Microseconds of the whole file."""

    def claim(self, part: Window) -> int:
        """Assign the unclaimed rest of a part to a clip or a reason; returns its length in microseconds."""
        return self._time.claim(part)

    def unused(self) -> Iterator[tuple[Reason, int]]:
        """Reasons for what nothing has claimed, and how many microseconds each has."""
        if not self.length:
            return
        for shot in (shot for examined in self._inputs for shot in examined.shots):
            rest = self._time.end_of(shot)
            yield (UNUSED, AFTER_LAST), self._time.claim(rest) if rest is not None else 0
            yield (UNUSED, BETWEEN), self._time.claim(shot)
        used = f"is outside of source.start_fraction={self._source.start_fraction:g} to "
        used += f"source.end_fraction={self._source.end_fraction:g}"
        whole = Window(start_s=0.0, end_s=in_seconds(self.length))
        for source in (examined.source for examined in self._inputs):
            end_s = whole.end_s if source.end_s is None else source.end_s
            yield (UNUSED, used), self._time.claim(Window(start_s=source.start_s, end_s=end_s))
        yield (UNUSED, NOT_NAMED), self._time.claim(whole)
