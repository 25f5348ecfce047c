"""The decoder's process: the right frames, and a reason within the time limit for every bad file."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, VideoDecoder
from videoar.tokenizer.config import ClipBucket

from ..videos import frame_number, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_clips_hold_the_nearest_frames(decoder: VideoDecoder, tmp_path: Path, suffix: str) -> None:
    """Containers count time differently (with an offset, in coarse steps); the frames must be the same."""
    path = str(write_video(tmp_path / f"clip.{suffix}"))
    probe = decoder.probe(path)
    assert (probe.height, probe.width, probe.fps) == (48, 64, 25.0)
    assert probe.duration_s == pytest.approx(2.0, abs=0.05)
    clips = dict(decoder.cut(path, [0.0, 0.4, 1.2], BUCKET))
    assert list(clips) == [0, 1, 2]
    for clip, start in ((0, 0.0), (1, 0.4), (2, 1.2)):
        assert clips[clip].shape == (5, 32, 32, 3)
        wanted = [round((start + i / 8) * 25 - 1e-3) for i in range(5)]
        assert [frame_number(frame) for frame in clips[clip]] == wanted


def test_a_clip_beyond_the_end_is_left_out(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Repeating the last frame would teach that the world stops."""
    path = str(write_video(tmp_path / "clip.mp4"))
    assert [clip for clip, _ in decoder.cut(path, [1.0, 1.6], BUCKET)] == [0]


def _png_header(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def _bad(kind: str, folder: Path) -> Path:
    good = write_video(folder / "good.mp4")
    path = folder / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[:2000])
    elif kind == "concat":
        path.write_text("ffconcat version 1.0\nfile good.mp4\n")
    elif kind == "playlist":
        write_video(folder / "part.ts")
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\npart.ts\n#EXT-X-ENDLIST\n")
    elif kind == "page":
        path.write_text("<html>404</html>")
    else:
        path = folder / "huge.png"
        path.write_bytes(_png_header(30_000))
    return path


@pytest.mark.parametrize("kind", ["empty", "truncated", "concat", "playlist", "page", "huge"])
def test_bad_files_give_a_reason(decoder: VideoDecoder, tmp_path: Path, kind: str) -> None:
    """A list that names other files must not be opened, and no file may crash the decoder."""
    path = str(_bad(kind, tmp_path))
    with pytest.raises(DecodeError, match=r"Error|holds no picture"):
        decoder.probe(path)
    with pytest.raises(DecodeError, match=r"Error|holds no picture"):
        list(decoder.cut(path, [0.0], BUCKET))
    assert decoder.probe(str(tmp_path / "good.mp4")).fps == 25.0


@pytest.mark.slow
def test_a_hung_decoder_is_stopped_and_the_next_file_works(tmp_path: Path) -> None:
    """Opening a pipe without a writer never returns, like a dead network mount."""
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with VideoDecoder(DecodeLimits(wall_s=4.0)) as decoder:
        with pytest.raises(DecodeError, match="took longer than 4 s"):
            decoder.probe(str(pipe))
        assert decoder.probe(str(write_video(tmp_path / "clip.mp4"))).fps == 25.0


def test_an_answer_left_half_read_does_not_leak_into_the_next(decoder: VideoDecoder, tmp_path: Path) -> None:
    """A consumer that stops early would otherwise get the rest of the old clip as the new one."""
    path = str(write_video(tmp_path / "clip.mp4"))
    clips = decoder.cut(path, [0.0, 0.2, 0.4], BUCKET)
    next(clips)
    clips.close()
    ((_, frames),) = decoder.cut(path, [1.2], BUCKET)
    assert frame_number(frames[0]) == 30
