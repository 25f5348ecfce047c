"""Makes the clips of coming steps in threads, in the order in which one process requests them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from math import prod

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.read_ahead import read_ahead
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.training.config import TokenizerTrainConfig

AHEAD_BYTES = 1 << 30
"""Most bytes of clips that wait for the trainer, or are being made."""
_MOST_AHEAD = 256
"""Most clips that wait for the trainer."""

Clip = UInt8[np.ndarray, "f h w 3"]


class ClipsAhead:
    """Clips in the order of steps, made by a few threads while the trainer works.

    The next clips of a process are inferred from its last request: the same share of the next step's batch. If it
    requests other clips, the threads continue from there.
    """

    def __init__(self, make: Callable[[int, int], Clip], train: TokenizerTrainConfig, threads: int) -> None:
        """`make(step, sample)` gives a clip."""
        self._make, self._train, self._threads = make, train, threads
        self._ahead = clips_ahead(train, threads)
        self._clips: Generator[Clip, None, None] | None = None
        self._expected: tuple[int, range] | None = None
        self._share = Fraction(0), Fraction(1)

    def take(self, step: int, samples: range) -> list[Clip]:
        """The clips with these numbers in the batch of a step. What a thread raises for one of them is raised here."""
        if self._clips is None or self._expected != (step, samples):
            self.close()
            batch = self._train.num_clips(step)
            self._share = Fraction(samples.start, batch), Fraction(samples.stop, batch)
            self._clips = read_ahead(
                lambda place: self._make(*place), self._places(step), threads=self._threads, ahead=self._ahead
            )
        self._expected = None  # until all are there
        taken = [next(self._clips) for _ in samples]
        self._expected = step + 1, self._own(step + 1)
        return taken

    def close(self) -> None:
        """Stop the threads, after the clips that they have begun."""
        if self._clips is not None:
            self._clips.close()
            self._clips = None

    def _places(self, step: int) -> Iterator[tuple[int, int]]:
        """(step, number in its batch) of this process's clips, from a step on to the end of the run."""
        for later in range(step, max(step + 1, self._train.steps)):
            yield from ((later, sample) for sample in self._own(later))

    def _own(self, step: int) -> range:
        """The numbers of this process's clips in the batch of a step."""
        first, last = (int(part * self._train.num_clips(step)) for part in self._share)
        return range(first, last)


def clips_ahead(train: TokenizerTrainConfig, threads: int) -> int:
    """How many clips are made ahead: what fits in `AHEAD_BYTES`, and at least one for each thread."""
    largest = max(prod(ScaleSchedule.named(bucket.schedule).pixels) * 3 * bucket.num_frames for bucket in train.buckets)
    return max(threads, min(_MOST_AHEAD, AHEAD_BYTES // largest))
