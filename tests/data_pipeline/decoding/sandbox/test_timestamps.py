"""Films whose container tells another time than the pictures have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from videoar.data_pipeline.decoding.client import VideoDecoder
from videoar.data_pipeline.decoding.sandbox.timestamps import Clock, in_display_order
from videoar.tokenizer.config import ClipBucket

from ...videos import frame_number, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)


def numbers(decoder: VideoDecoder, path: Path) -> list[list[int]]:
    """The numbers of the frames of every clip that the probed length promises."""
    starts = [0.625 * index for index in range(int((decoder.probe(str(path)).duration_s - 0.04 - 0.5) / 0.625) + 1)]
    return [[frame_number(frame) for frame in frames] for _, frames in decoder.cut(str(path), starts, BUCKET)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return write_video(tmp_path_factory.mktemp("plain") / "film.mp4")


def write(path: Path, *, late_s: float = 0.0, sound_s: float = 0.0, codec: str = "libx264") -> Path:
    """The frames of `write_video`, late or with sound that goes on after them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "4", "preset": "medium", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound_s else None
        for number in range(50):
            pixels = np.full((48, 64, 3), 4 * number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number + round(late_s * 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, round(8000 * sound_s)), np.int16), "s16", "mono")
            silence.sample_rate = 8000
            container.mux([*sound.encode(silence), *sound.encode(None)])
    return path


@pytest.mark.parametrize("kind", ["late.mkv", "late.ts", "sound.mkv", "sound.mov", "reordered.avi"])
def test_the_clips_are_those_of_the_plain_film(decoder: VideoDecoder, plain: Path, tmp_path: Path, kind: str) -> None:
    """Planned by the container's length, two thirds of the clips would fail; by decoding times, frames would swap."""
    late_s, sound_s = 10.0 * kind.startswith("late"), 6.0 * kind.startswith("sound")
    path = write(tmp_path / kind, late_s=late_s, sound_s=sound_s)
    assert decoder.probe(str(path)).duration_s == pytest.approx(2.0, abs=0.05)
    assert numbers(decoder, path) == numbers(decoder, plain)


def test_joined_streams_are_followed(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Recorders and `cat` join transport streams: the clock begins anew, and half of the film would be lost."""
    part = write_video(tmp_path / "part.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 3)
    assert decoder.probe(str(tmp_path / "joined.ts")).duration_s == pytest.approx(6.0, abs=0.1)
    found = numbers(decoder, tmp_path / "joined.ts")
    assert len(found) == 9
    ticks = [(25 * (0.625 * clip + tick / 8)) % 50 for clip in range(9) for tick in range(5)]
    away = [abs(number - tick) for number, tick in zip(np.ravel(found), ticks, strict=True)]
    assert max(min(one, 50 - one) for one in away) <= 1.5


def remuxed(path: Path, late: int) -> Path:
    """A copy whose clock is this many ticks of 1/90000 s ahead; of 33 bits, as transport streams have it."""
    copy = path.with_name("late.ts")
    with av.open(str(path)) as film, av.open(str(copy), "w", options={"muxdelay": "0"}) as container:
        stream = container.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
                container.mux(packet)
    return copy


@pytest.mark.parametrize("late_s", [1.0, 44.0])
def test_a_clock_that_overflows_is_followed(decoder: VideoDecoder, plain: Path, tmp_path: Path, late_s: float) -> None:
    """The clock of a transport stream begins anew every 26.5 hours: in the middle of this film, or soon after it."""
    film = remuxed(write_video(tmp_path / "film.ts"), (1 << 33) - round(late_s * 90_000))
    assert decoder.probe(str(film)).duration_s == pytest.approx(2.0, abs=0.05)
    away = np.subtract(numbers(decoder, film), numbers(decoder, plain))
    assert np.abs(away).max() <= 1, "a tick halfway between two frames may get either"


def test_frames_of_any_length_are_cut_at_the_nearest(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Phones drop frames, and screens are recorded only when they change."""
    shown = [0, 1, 2, 3, 5, 6, 12, 13, 14, 20, 31, 32, 33, 34, 48, 49, 50]
    for suffix in ("mp4", "mkv", "ts"):
        path = tmp_path / f"film.{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast"})
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for number in shown:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        ((_, frames),) = decoder.cut(str(path), [0.05], ClipBucket(schedule="32x32", num_frames=17, fps=9.0))
        ticks = [25 * (0.05 + tick / 9) for tick in range(17)]
        assert [frame_number(frame) for frame in frames] == [min(shown, key=lambda n: abs(n - tick)) for tick in ticks]


def test_a_clock_that_begins_anew_goes_on() -> None:
    """Frames out of order are no new beginning."""
    clock = Clock()
    assert [round(clock.continued(time, 0.04), 2) for time in (10.0, 10.08, 10.04, 10.12, 1.0, 1.04)] == [
        10.0,
        10.08,
        10.04,
        10.12,
        10.16,
        10.20,
    ]


def test_times_are_put_in_order() -> None:
    """Every picture keeps its place, and the smallest time that is left is its own."""
    frames = [SimpleNamespace(pts=pts, number=number) for number, pts in enumerate([1, 2, 4, 3, None, 6, 5])]
    assert [(frame.number, frame.pts) for frame in in_display_order(iter(frames))] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, None),
        (5, 5),
        (6, 6),
    ]
