from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from videoar.data_pipeline.decoding.client import ClipCut, DecodeLimits, VideoDecoder
from videoar.data_pipeline.decoding.sandbox.cutting import decode_ahead

from ...films import NUM_FRAMES, OPEN, REFRESHED


@pytest.mark.parametrize("film", [("mp4", REFRESHED), ("ts", OPEN), ("mp4", OPEN)], indirect=True)
def test_a_few_clips_are_those_of_a_whole_pass(film: str) -> None:
    """If no seek is possible, or one failed, the film is read from its start."""
    whole = [ClipCut(start_s=0.0, num_frames=NUM_FRAMES - 1, fps=25.0, schedule="32x32")]
    few = [ClipCut(start_s=start_s, num_frames=5, fps=25.0, schedule="32x32") for start_s in (2.0, 5.2)]
    with VideoDecoder(DecodeLimits()) as decoder:
        ((_, frames),) = decoder.cut_all(film, whole)
        clips = [found for _, found in decoder.cut_all(film, few)]
    assert np.array_equal(clips, [frames[50:55], frames[130:135]])


def test_an_error_ahead_is_raised_in_its_place() -> None:
    """A clip whose frames came before the damaged one is good, and must not be lost."""

    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("at three")

    made = decode_ahead(items())
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(ValueError, match="at three"):
        next(made)
    assert list(decode_ahead(iter(range(9)))) == list(range(9))
