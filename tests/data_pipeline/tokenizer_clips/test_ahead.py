"""Clips made ahead: in order, each once, not too many, and not after the end."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from videoar.data_pipeline.tokenizer_clips.ahead import ClipsAhead, clips_ahead
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket

TRAIN = TokenizerTrainConfig(
    buckets=(
        TrainingBucket(schedule="32x32", num_frames=1, batch_size=8),
        TrainingBucket(schedule="32x32", num_frames=1),
    ),
    steps=6,
    batch_size=4,
)


class Maker:
    """Records which clips were asked for; a clip holds its step and number."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []

    def __call__(self, step: int, sample: int) -> np.ndarray:
        self.made.append((step, sample))
        if sample == 99:
            raise ValueError("no such clip")
        return np.full((1, 1, 1, 3), [step, sample, 0], dtype=np.uint8)


def taken(ahead: ClipsAhead, step: int, samples: range) -> list[tuple[int, int]]:
    return [(int(clip[0, 0, 0, 0]), int(clip[0, 0, 0, 1])) for clip in ahead.take(step, samples)]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_process_gets_its_share_in_order_and_each_is_made_once(threads: int) -> None:
    """The second of two processes: 4 of 8 clips, then 2 of 4. A clip that is made in vain costs a decoder's time."""
    make = Maker()
    ahead = ClipsAhead(make, TRAIN, threads)
    wanted = []
    for step in range(6):
        samples = range(4, 8) if step % 2 == 0 else range(2, 4)
        wanted += [(step, sample) for sample in samples]
        assert taken(ahead, step, samples) == [(step, sample) for sample in samples]
    ahead.close()
    assert sorted(make.made) == wanted, "nothing after the last step, and nothing of the other process"


def test_a_resumed_run_begins_anywhere_and_other_numbers_begin_anew() -> None:
    ahead = ClipsAhead(Maker(), TRAIN, 1)
    assert taken(ahead, 3, range(4)) == [(3, 0), (3, 1), (3, 2), (3, 3)]
    assert taken(ahead, 0, range(1, 3)) == [(0, 1), (0, 2)], "a picture of the first step's clips, say"
    assert taken(ahead, 7, range(2)) == [(7, 0), (7, 1)], "after the run"
    ahead.close()


def test_an_error_reaches_the_trainer_and_closing_ends_the_threads() -> None:
    """An error that stays in its thread would leave the trainer waiting for ever."""
    ahead = ClipsAhead(Maker(), TRAIN, 2)
    with pytest.raises(ValueError, match="no such clip"):
        ahead.take(0, range(98, 100))
    assert taken(ahead, 0, range(2)) == [(0, 0), (0, 1)]
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_memory_ahead_is_bounded() -> None:
    """A trainer that waits must not let its threads decode the whole data set into memory."""
    bucket = TrainingBucket(schedule="1024x1024", num_frames=17)
    large = TokenizerTrainConfig(buckets=(bucket,), steps=1000, batch_size=8)
    assert 1 < clips_ahead(large, 1) * 17 * 1024 * 1024 * 3 <= 1 << 30
    assert clips_ahead(large, 64) == 64, "but all threads have work"
    make = Maker()
    ahead = ClipsAhead(make, large, 4)
    ahead.take(0, range(8))
    most = 8 + clips_ahead(large, 4)
    while len(make.made) < most:
        time.sleep(0.001)
    ahead.close()
    assert len(make.made) == most
