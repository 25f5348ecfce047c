"""Leaps over what nobody wants: the same frames as without, and few others decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from videoar.data_pipeline.decoding.client import ClipCut, DecodeLimits, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import nearest
from videoar.data_pipeline.decoding.sandbox.film import Film, RefusedSource, ahead

from ...videos import scene

GOP, NUM_FRAMES = 25, 150
CLOSED = "b-pyramid=2"
OPEN = "open-gop=1:b-adapt=0:bframes=4"
REFRESHED = "intra-refresh=1"
"""A film without a key frame after its first: columns are renewed one after the other."""
TIMES = [0.4, 2.1, 2.14, 4.02, 5.3]


@pytest.fixture
def film(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Of six seconds, by x264; of a container and with options as given."""
    suffix, options = request.param
    path = str(tmp_path / f"film.{suffix}")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.options = {"preset": "veryfast", "x264-params": f"keyint={GOP}:scenecut=0:{options}"}
        for pixels in scene(1, NUM_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def reading(path: str, max_frames: int = 1000) -> Film:
    container = av.open(path)
    return Film(container, container.streams.video[0], {"max_frames": max_frames, "max_pixels": 1 << 20})


def pixels(found: Iterator[tuple[int, Any]]) -> list[np.ndarray]:
    return [frame.to_ndarray() for _, frame in found]


@pytest.mark.parametrize(
    "film", [(suffix, options) for suffix in ("mp4", "mkv") for options in (CLOSED, OPEN)], indirect=True
)
@pytest.mark.parametrize("times", [TIMES, [3.0], [k + d for k in range(1, 5) for d in (-0.04, 0.0, 0.04)], [5.96]])
def test_leaps_change_no_frame(film: str, times: list[float]) -> None:
    """Frames around an open key frame lean on what was leapt over; a frame too far is another frame."""
    plain = pixels(nearest(reading(film).frames(), times))
    leaping = pixels(nearest(reading(film).frames_around(times), times))
    assert len(plain) == len(leaping) == len(times)
    assert all(np.array_equal(a, b) for a, b in zip(plain, leaping, strict=True))


@pytest.mark.parametrize("film", [("mp4", OPEN), ("mkv", OPEN)], indirect=True)
def test_only_the_groups_of_pictures_that_are_wanted_are_decoded(film: str) -> None:
    """Decoding an hour for two clips at its end would be slower than seeking them."""
    decoded = list(nearest(counted := Counted(reading(film).frames_around([2.5, 5.5])), [2.5, 5.5]))
    assert len(decoded) == 2
    assert counted.num_items <= 2 * GOP


@pytest.mark.parametrize("film", [("mp4", REFRESHED)], indirect=True)
def test_a_leap_that_goes_astray_says_so(film: str) -> None:
    """The container calls it a key frame; the picture is whole a second later only."""
    leaping = reading(film)
    with pytest.raises(ValueError, match="key frame"):
        list(nearest(leaping.frames_around([4.3]), [4.3]))
    assert leaping.has_leapt


@pytest.mark.parametrize("film", [("mp4", REFRESHED), ("ts", OPEN), ("mp4", OPEN)], indirect=True)
def test_a_few_clips_are_those_of_a_whole_pass(film: str) -> None:
    """Where no leap can be made, or one went astray, the film is read from its start."""
    whole = [ClipCut(start_s=0.0, num_frames=NUM_FRAMES - 1, fps=25.0, schedule="32x32")]
    few = [ClipCut(start_s=start_s, num_frames=5, fps=25.0, schedule="32x32") for start_s in (2.0, 5.2)]
    with VideoDecoder(DecodeLimits()) as decoder:
        ((_, frames),) = decoder.cut_all(film, whole)
        clips = [found for _, found in decoder.cut_all(film, few)]
    assert np.array_equal(clips, [frames[50:55], frames[130:135]])


@pytest.mark.parametrize("film", [("mp4", CLOSED)], indirect=True)
def test_frames_that_are_leapt_over_count(film: str) -> None:
    """A cap on the frames of a film must not depend on which of them are wanted."""
    leaping = reading(film, max_frames=130)
    with pytest.raises(RefusedSource, match="more than the 130 frames"):
        list(leaping.frames_around([5.3]))
    assert leaping.has_leapt


def test_what_goes_wrong_ahead_is_raised_in_its_place() -> None:
    """Items before it are good."""

    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("at three")

    made = ahead(items())
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(ValueError, match="at three"):
        next(made)
    assert list(ahead(iter(range(9)))) == list(range(9))


class Counted:
    """An iterator that counts what it gave."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items, self.num_items = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.num_items += 1
            yield item
