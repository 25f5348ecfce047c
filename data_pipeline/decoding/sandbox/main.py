"""The decoder's own process: opens files nobody has vouched for, under limits, and hands out pixels.

Reads one JSON request a line, answers with messages (length, JSON, then pixels). It imports neither torch nor anything
that could reach a network, opens local files only, by demuxers that read one file, and is killed by the kernel when it
exceeds its memory or CPU time and by its owner when it exceeds its wall time.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from jaxtyping import UInt8

from videoar.data_pipeline.decoding.frame_sampling import Backwards, Cover, clip_times, cover, nearest
from videoar.data_pipeline.decoding.sandbox.film import Film, RefusedSource, ahead, check_size

LENGTH = struct.Struct("<I")

_VIDEO_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
_IMAGE_FORMATS = {"png": "png_pipe", "jpg": "jpeg_pipe", "jpeg": "jpeg_pipe", "webp": "webp_pipe", "bmp": "bmp_pipe"}
_UNSPECIFIED_COLOUR = 2
_THUMBNAIL = 64
"""Pixels of the short side of a frame that is scanned."""
_LONGEST_THUMBNAIL = 4
"""Of its short side: a frame of one row must not become a wide picture."""


def main() -> None:
    """Serve requests until the owner closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # meant for the owner, which may have clips to end before it leaves
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints must not mix with the messages
    av.logging.set_level(av.logging.PANIC)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    _limit(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _limit_cpu(request["cpu_s"])
        try:
            _serve(request, out)
            _send(out, {"kind": "done"})
        except (av.error.FFmpegError, ValueError, IndexError, OSError, MemoryError) as error:
            _send(out, {"kind": "error", "reason": f"{type(error).__name__}: {error}".strip()[:300]})


def _leave_with(owner: int) -> None:
    """End when the owner has died: a decoder that hangs in a file would not notice its closed pipe."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(1)


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _serve(request: dict[str, Any], out: BinaryIO) -> None:
    if request["kind"] == "cut":
        _cut(request, out)
        return
    with _opened(request) as (container, stream):
        if request["kind"] == "probe":
            _send(out, {"kind": "probe", **_probe(container, stream, request)})
        else:
            _scan(container, stream, request, out)


@contextmanager
def _opened(request: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """A source and its first video stream, decoded by one thread."""
    with _open(request) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        yield container, stream


def _open(request: dict[str, Any]) -> Any:
    """Only local files, only containers that cannot name other files."""
    path = request["path"]
    suffix = path.rsplit(".", 1)[-1].lower()
    options = {"protocol_whitelist": "file", "max_pixels": str(request["max_pixels"])}
    if suffix in _IMAGE_FORMATS:
        return av.open(f"file:{path}", format=_IMAGE_FORMATS[suffix], options=options)
    return av.open(f"file:{path}", options={**options, "format_whitelist": _VIDEO_FORMATS})


def _probe(container: Any, stream: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What the header says, and the size at which the first frame is shown: a source without one is none."""
    check_size(stream.codec_context.height, stream.codec_context.width, request)
    first = next(Film(container, stream, request).frames(), None)
    if first is None:
        raise RefusedSource("holds no frame")
    height, width = _shown_size(first[1], stream)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    duration = _duration_s(container, stream)
    if duration > request["max_duration_s"]:
        raise RefusedSource(f"lasts {duration:.0f} s, more than the {request['max_duration_s']:.0f} s accepted")
    return {"height": height, "width": width, "fps": rate, "duration_s": duration}


def _duration_s(container: Any, stream: Any) -> float:
    """Of the video stream, of the container, or by counting packets; an image lasts no time."""
    if container.format.name.endswith("_pipe"):
        return 0.0
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / av.time_base)
    ends = [float(p.pts + (p.duration or 0)) for p in container.demux(stream) if p.pts is not None]
    return (max(ends) - float(stream.start_time or 0)) * float(stream.time_base) if ends else 0.0


def _cut(request: dict[str, Any], out: BinaryIO) -> None:
    """All clips of a source from one pass: each is sent when its last frame has come."""
    cuts = request["cuts"]
    wanted = sorted(
        (second, clip, index)
        for clip, cut in enumerate(cuts)
        for index, second in enumerate(clip_times(cut["start_s"], cut["num_frames"], cut["fps"]))
    )
    waiting: dict[int, np.ndarray] = {}
    resizers: dict[tuple[int, int, str], VideoReformatter] = defaultdict(VideoReformatter)
    fitted: dict[tuple[int, int, str], np.ndarray] = {}
    fitted_frame = None
    for done, frame, aspect in ahead(_chosen(request, [second for second, _, _ in wanted])):
        _, clip, index = wanted[done]
        shape = cuts[clip]["height"], cuts[clip]["width"], cuts[clip]["crop"]
        if fitted_frame is not frame:
            fitted, fitted_frame = {}, frame
        if shape not in fitted:
            fitted[shape] = _fit(frame, aspect, resizers[shape], *shape)
        length = cuts[clip]["num_frames"]
        if clip not in waiting:
            waiting[clip] = np.empty((length, *shape[:2], 3), dtype=np.uint8)
        waiting[clip][index] = fitted[shape]
        if index == length - 1:
            _send(out, {"kind": "clip", "clip": clip}, waiting.pop(clip).data)


def _chosen(request: dict[str, Any], times: list[float]) -> Iterator[tuple[int, Any, float]]:
    """(index of the time, the frame nearest to it, the stream's pixel aspect) for ascending times."""
    done = 0
    with _opened(request) as (container, stream):
        film = Film(container, stream, request)
        try:
            for index, frame in nearest(film.frames_around(times), times):
                yield index, frame, _aspect(stream)
                done = index + 1
            return
        except (av.error.FFmpegError, ValueError):
            if not film.has_leapt:
                raise
    with _opened(request) as (container, stream):  # without leaps: what is wrong now is the source's own fault
        for index, frame in nearest(Film(container, stream, request).frames(), times[done:]):
            yield done + index, frame, _aspect(stream)


def _scan(container: Any, stream: Any, request: dict[str, Any], out: BinaryIO) -> None:
    """What is found in a part of the source, in small frames as they are shown."""
    from videoar.data_pipeline.decoding.sandbox.scanner import Scanner  # OpenCV: most decoders have no use for it

    scanner, resizer = Scanner(**request["looks"]), VideoReformatter()
    for shown, frame in _sparse(Film(container, stream, request).frames(), request):
        scanner.add(shown, _thumbnail(frame, stream, resizer))
    _send(out, {"kind": "scan", **scanner.answer()})


def _sparse(frames: Iterator[tuple[float, Any]], request: dict[str, Any]) -> Iterator[tuple[float, Any]]:
    """The frames of [start_s, end_s) that are at least every_s apart; ends there."""
    before, due = -1.0, request["start_s"]
    for shown, frame in frames:
        if shown < before:
            raise Backwards(f"the timestamp {shown:.3f} s follows {before:.3f} s")
        before = shown
        if shown >= request["end_s"]:
            return
        if shown + 1e-6 >= due:
            due = max(due + request["every_s"], shown)
            yield shown, frame


def _fit(
    frame: Any, aspect: float, resizer: VideoReformatter, height: int, width: int, crop: str
) -> UInt8[np.ndarray, "h w 3"]:
    """Resized to cover and cropped, as shown: the pixel's aspect and the rotation are applied."""
    turns = _turns(frame)
    target = (width, height) if turns % 2 else (height, width)
    place = cover(frame.height, _square_width(frame, aspect), *target, crop)
    return np.rot90(_crop(_rgb(frame, resizer, place), place, *target), turns)


def _thumbnail(frame: Any, stream: Any, resizer: VideoReformatter) -> UInt8[np.ndarray, "h w 3"]:
    """The whole frame, small."""
    height, width = frame.height, _square_width(frame, _aspect(stream))
    side, longest = _THUMBNAIL, _LONGEST_THUMBNAIL * _THUMBNAIL
    factor = side / min(height, width)
    shape = [min(longest, max(side, round(length * factor))) for length in (height, width)]
    picture = resizer.reformat(frame, height=shape[0], width=shape[1], format="rgb24", interpolation="AREA")
    return np.rot90(picture.to_ndarray(), _turns(frame))


def _shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """(height, width) on the screen, in square pixels and upright."""
    height, width = frame.height, _square_width(frame, _aspect(stream))
    return (width, height) if _turns(frame) % 2 else (height, width)


def _aspect(stream: Any) -> float:
    """Width of a pixel over its height."""
    return float(stream.sample_aspect_ratio or 1) or 1.0


def _square_width(frame: Any, aspect: float) -> int:
    return max(1, round(frame.width * aspect))


def _turns(frame: Any) -> int:
    """Quarter turns that the camera was held at."""
    return round(frame.rotation / 90) % 4


def _rgb(frame: Any, resizer: VideoReformatter, place: Cover) -> np.ndarray:
    """Unlabelled colours are BT.709 in high definition and BT.601 below, as players take them.

    A resizer keeps its tables from frame to frame; making them takes longer than using them. The pixels are those of
    the picture, not a copy.
    """
    unlabelled = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    source = unlabelled if frame.colorspace == _UNSPECIFIED_COLOUR else None
    picture = resizer.reformat(
        frame, width=place.width, height=place.height, format="rgb24", src_colorspace=source, interpolation="BICUBIC"
    )
    plane: Any = picture.planes[0]
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(place.height, plane.line_size)
    return rows[:, : 3 * place.width].reshape(place.height, place.width, 3)


def _crop(pixels: np.ndarray, place: Cover, height: int, width: int) -> np.ndarray:
    return pixels[place.top : place.top + height, place.left : place.left + width]


def _send(out: BinaryIO, message: dict[str, Any], pixels: memoryview | None = None) -> None:
    head = json.dumps({**message, "size_bytes": pixels.nbytes if pixels is not None else 0}).encode()
    out.write(LENGTH.pack(len(head)) + head)
    if pixels is not None:
        out.write(pixels)
    out.flush()


if __name__ == "__main__":
    main()
