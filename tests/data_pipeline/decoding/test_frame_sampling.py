"""The rules of cutting: nearest frames, windows that touch without sharing, covering crops."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.data_pipeline.decoding.frame_sampling import (
    Backwards,
    Window,
    clip_starts,
    clip_times,
    cover,
    mirrored,
    nearest_frames,
)


@pytest.mark.parametrize("source_fps", [8.0, 23.976, 25.0, 60.0])
def test_nearest_in_one_pass_equals_a_search(source_fps: float) -> None:
    """The streaming pass must choose the same frames as a search over all timestamps; one frame off is judder."""
    frames = [(i / source_fps, i) for i in range(200)]
    draws = np.random.default_rng(0)
    times = sorted(draws.uniform(0, frames[-1][0], size=300).tolist())
    found = list(nearest_frames(frames, times))
    stamps = np.array([time for time, _ in frames])
    assert [index for index, _ in found] == list(range(300))
    assert [frame for _, frame in found] == [int(np.abs(stamps - time).argmin()) for time in times]


def test_nearest_stops_when_served_and_when_the_source_ends() -> None:
    """Decoding to the end of a film for a clip at its start costs hours; after the end no frame is invented."""

    def frames() -> object:
        for i in range(5):
            assert i < 4, "read past the last frame that was needed"
            yield float(i), i

    assert [frame for _, frame in nearest_frames(frames(), [0.0, 2.4])] == [0, 2]
    assert [frame for _, frame in nearest_frames([(0.0, 0), (1.0, 1)], [0.6, 2.0, 2.1])] == [1, 1]


def test_timestamps_that_go_backwards_are_refused() -> None:
    """A broken index would silently shuffle the frames of a clip."""
    with pytest.raises(Backwards):
        list(nearest_frames([(0.0, 0), (1.0, 1), (0.5, 2)], [2.0]))


@pytest.mark.parametrize("cut", [0.5, 0.8, 0.83])
def test_windows_that_touch_share_no_frame(cut: float) -> None:
    """Held-out clips must not begin with the last frame of training."""
    fps, duration = 25.0, 7.4
    stamps = np.arange(round(duration * fps)) / fps
    sides = []
    for window in (Window(start_s=0.0, end_s=cut * duration), Window(start_s=cut * duration, end_s=duration)):
        starts = clip_starts(window, fps, num_frames=5, fps=8.0, stride_s=0.04)
        assert starts
        times = [time for start in starts for time in clip_times(start, 5, 8.0)]
        sides.append({int(np.abs(stamps - time).argmin()) for time in times})
    assert not sides[0] & sides[1]
    assert max(sides[1]) >= len(stamps) - 2, "the end of the source is used"


def test_starts_fill_the_window() -> None:
    """A clip too many is cut short; one too few wastes data; an exact fit counts."""
    window = Window(start_s=1.0, end_s=3.0)
    assert clip_starts(window, 10.0, num_frames=10, fps=10.0, stride_s=0.0) == [1.0, 2.0]
    assert clip_starts(window, 10.0, num_frames=21, fps=10.0, stride_s=0.0) == []
    assert clip_starts(window, 10.0, num_frames=20, fps=10.0, stride_s=0.0) == [1.0]


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (1280, 720), (33, 1000), (128, 128)])
@pytest.mark.parametrize("target", [(64, 64), (384, 672), (672, 384)])
def test_cover_covers_and_is_centred(size: tuple[int, int], target: tuple[int, int]) -> None:
    """A resize that falls a pixel short leaves a crop out of bounds; a stretch changes what is seen."""
    place = cover(*size, *target)
    assert place.height >= target[0]
    assert place.width >= target[1]
    assert place.height == target[0] or place.width == target[1]
    assert abs(place.height / size[0] - place.width / size[1]) <= 1 / min(size)
    assert abs(2 * place.top - (place.height - target[0])) <= 1


def test_mirrored_swaps_left_and_right() -> None:
    """Flipping the wrong axis turns the world upside down."""
    frames = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    assert np.array_equal(mirrored(frames)[1, 0, 0], frames[1, 0, 2])


def test_a_zoomed_cover_places_its_crop_anywhere() -> None:
    """Random crops: the first and the last pixels of the room are reached, and no pixel outside."""
    wide = cover(72, 128, 48, 48, crop=(0.0, 1.0), zoom=1.5)
    assert (wide.height, wide.width) == (72, 128)
    assert (wide.top, wide.left) == (0, 80)
    assert cover(72, 128, 48, 48, crop=(0.0, 0.5)).left == cover(72, 128, 48, 48).left
