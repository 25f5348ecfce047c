"""Seeking past what is not wanted: the same frames as without, and few others decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from videoar.data_pipeline.decoding.client import DecodeError, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import nearest_frames
from videoar.data_pipeline.decoding.sandbox.film import Film, RefusedSource

from ...films import CLOSED, GOP, OPEN, REFRESHED
from ...videos import write_video

TIMES = [0.4, 2.1, 2.14, 4.02, 5.3]


def reading(path: str, max_frames: int = 1000) -> Film:
    container = av.open(path)
    return Film(container, container.streams.video[0], {"max_frames": max_frames, "max_pixels": 1 << 20})


def pixels(found: Iterator[tuple[int, Any]]) -> list[np.ndarray]:
    return [frame.to_ndarray() for _, frame in found]


@pytest.mark.parametrize(
    "film", [(suffix, options) for suffix in ("mp4", "mkv") for options in (CLOSED, OPEN)], indirect=True
)
@pytest.mark.parametrize("times", [TIMES, [3.0], [k + d for k in range(1, 5) for d in (-0.04, 0.0, 0.04)], [5.96]])
def test_seeks_change_no_frame(film: str, times: list[float]) -> None:
    """Frames around an open key frame depend on what was skipped; one frame too far would be a wrong frame."""
    plain = pixels(nearest_frames(reading(film).frames(), times))
    seeking = pixels(nearest_frames(reading(film).frames_around(times), times))
    assert len(plain) == len(seeking) == len(times)
    assert all(np.array_equal(a, b) for a, b in zip(plain, seeking, strict=True))


@pytest.mark.parametrize("film", [("mp4", OPEN), ("mkv", OPEN)], indirect=True)
def test_only_the_groups_of_pictures_that_are_wanted_are_decoded(film: str) -> None:
    """Decoding the whole film for two clips at its end would be slower than seeking them."""
    decoded = list(nearest_frames(counted := Counted(reading(film).frames_around([2.5, 5.5])), [2.5, 5.5]))
    assert len(decoded) == 2
    assert counted.num_items <= 2 * GOP


@pytest.mark.parametrize("film", [("mp4", REFRESHED)], indirect=True)
def test_a_seek_that_fails_is_reported(film: str) -> None:
    """The container calls it a key frame, but the picture is complete only a second later."""
    film_with_seeks = reading(film)
    with pytest.raises(ValueError, match="key frame"):
        list(nearest_frames(film_with_seeks.frames_around([4.3]), [4.3]))
    assert film_with_seeks.has_seeked


@pytest.mark.parametrize("film", [("mp4", CLOSED)], indirect=True)
def test_frames_that_are_skipped_count(film: str) -> None:
    """A limit on the frames of a film must not depend on which of them are wanted."""
    film_with_seeks = reading(film, max_frames=130)
    with pytest.raises(RefusedSource, match="more than the 130 frames"):
        list(film_with_seeks.frames_around([5.3]))
    assert film_with_seeks.has_seeked


class Counted:
    """An iterator that counts its items."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items, self.num_items = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.num_items += 1
            yield item


def test_paths_are_files_and_never_protocols(decoder: VideoDecoder, tmp_path: Path) -> None:
    """A path such as `concat:a|b` or an address must not be opened as a protocol."""
    write_video(tmp_path / "a.ts")
    for path in (f"concat:{tmp_path}/a.ts|{tmp_path}/a.ts", "http://127.0.0.1:9/a.mp4", f"subfile:,,:{tmp_path}/a.ts"):
        with pytest.raises(DecodeError):
            decoder.probe(path)


@pytest.mark.parametrize(
    ("suffix", "streams", "chosen"),
    [
        ("mp4", {"cover": 96, "film": 48}, 48),
        ("mp4", {"film": 48, "cover": 96}, 48),
        ("ts", {"film": 32, "other film": 64}, 64),
        ("mp4", {"film": 64, "default film": 32, "cover": 96}, 32),
    ],
)
def test_the_main_stream_is_decoded(
    decoder: VideoDecoder, tmp_path: Path, suffix: str, streams: dict[str, int], chosen: int
) -> None:
    """Cover art is the first stream of many files: its still picture would be the whole film."""
    path = write_streams(tmp_path / f"film.{suffix}", streams)
    assert (decoder.probe(path).height, decoder.probe(path).width) == (chosen, chosen)


def test_a_file_of_cover_art_and_sound_holds_no_video(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Songs have a cover, and a suffix of films."""
    for streams, reason in (
        ({"cover": 96, "sound": 0}, "no video besides cover art"),
        ({"sound": 0}, "holds no video"),
    ):
        with pytest.raises(DecodeError, match=reason):
            decoder.probe(write_streams(tmp_path / "song.mp4", streams))


def write_streams(path: Path, streams: dict[str, int]) -> str:
    """Square streams of these sides: covers, films and sound."""
    with av.open(str(path), "w") as container:
        opened = {}
        for name, side in streams.items():
            codec = "mjpeg" if name == "cover" else "aac" if name == "sound" else "libx264"
            stream: Any = container.add_stream(codec, rate=48_000 if name == "sound" else 10)
            if side:
                stream.height = stream.width = side
                stream.pix_fmt = "yuvj420p" if name == "cover" else "yuv420p"
                stream.disposition = {"cover": Disposition.attached_pic, "default film": Disposition.default}.get(
                    name, Disposition(0)
                )
            opened[name] = stream
        for name, stream in opened.items():
            for number in range({"cover": 1, "sound": 0}.get(name, 3)):
                frame = av.VideoFrame.from_ndarray(np.zeros((stream.height, stream.width, 3), np.uint8), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            if name == "sound":
                frame_of_sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                frame_of_sound.sample_rate = 48_000
                container.mux(stream.encode(frame_of_sound))
            container.mux(stream.encode(None))
    return str(path)
