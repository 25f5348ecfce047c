"""The frames of an opened film in the order they are shown: all of them, or only those around the wanted times."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import av
from av.stream import Disposition

from videoar.data_pipeline.decoding.file_marks import NUM_BYTES, image_kind
from videoar.data_pipeline.decoding.sandbox.demuxing import has_lost_place, heard
from videoar.data_pipeline.decoding.sandbox.jpeg import is_whole
from videoar.data_pipeline.decoding.sandbox.kinds import deinterlaced, kinds_of
from videoar.data_pipeline.decoding.sandbox.packets import Packets
from videoar.data_pipeline.decoding.sandbox.timestamps import RESTARTING, Clock, Missing, in_display_order

_VIDEO_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
"""Demuxers that may open a file: none of them opens other files that a file names."""
_INDEX_AT_END = "matroska"
"""A container with its index at its end, which FFmpeg reads at the first seek."""
_REORDERED_S = 1.0
"""A key frame that is decoded before some time, yet shown after it, is shown at most this much later."""
_ROUNDING_S = 1e-9
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_WORTH_A_SEEK_S = 0.5
"""A seek costs about as much as decoding this stretch: the decoder starts again, with frames to put in order."""


class RefusedSource(ValueError):
    """The source exceeds a limit or is damaged."""


class FailedSeek(ValueError):
    """A seek did not arrive where the container's index says."""


@contextmanager
def open_film(request: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """A file (`path`) and its main video stream, decoded by one thread."""
    with _open_at_start(request) as container:
        stream = main_stream(container, request["stream"])
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        yield container, stream


def _open_at_start(request: dict[str, Any]) -> Any:
    """Opening reads packets ahead to detect the streams; they are read again if there was damage, to locate it."""
    with heard() as log:
        container = _open(request)
    if not has_lost_place(container, log):
        return container
    try:
        container.seek(container.start_time or 0)
    except av.error.FFmpegError:
        container.close()
        container = _open(request)
    return container


def _open(request: dict[str, Any]) -> Any:
    """Opens only local files, and only containers that cannot name other files."""
    path = request["path"]
    options = {"protocol_whitelist": "file", "max_pixels": str(request["max_pixels"])}
    with open(path, "rb", buffering=0) as file:
        image = image_kind(file.read(NUM_BYTES))
        if image == "jpeg" and not is_whole(file):
            raise RefusedSource("is truncated: its last part is missing")
    if image == "jpeg":
        options["fflags"] = "+noparse"  # the file is one picture, so its end need not be searched
    if image:
        return av.open(f"file:{path}", format=f"{image}_pipe", options=options)
    return av.open(f"file:{path}", options={**options, "format_whitelist": _VIDEO_FORMATS})


def main_stream(container: Any, index: int | None = None) -> Any:
    """The video with this index; else the default one, else the largest, else the first. Cover art is not a video."""
    videos = [stream for stream in container.streams.video if not stream.disposition & _NO_VIDEO]
    if not videos:
        raise RefusedSource("holds no video" if not container.streams.video else "holds no video besides cover art")
    if index is not None:
        if index >= len(videos):
            raise RefusedSource(f"holds {len(videos)} videos and not source.pictures.stream={index}")
        return _readable(videos[index])
    if len(videos) == 1:
        return _readable(videos[0])
    defaults = [stream for stream in videos if stream.disposition & Disposition.default]
    largest = max(defaults or videos, key=lambda stream: stream.codec_context.height * stream.codec_context.width)
    return _readable(largest)


def _readable(stream: Any) -> Any:
    """RefusedSource for a film with transparency, in which the decoder would show hidden pixels."""
    if any(key.lower() == "alpha_mode" and value != "0" for key, value in stream.metadata.items()):
        raise RefusedSource("is a film with transparent pixels, which are not read")
    return stream


def check_size(height: int, width: int, caps: dict[str, Any]) -> None:
    """RefusedSource when frames are larger than `max_pixels`, or empty."""
    if height < 1 or width < 1:
        raise RefusedSource("holds no picture that can be read")
    if height * width > caps["max_pixels"]:
        raise RefusedSource(
            f"has frames of {height}x{width} pixels, more than data.decode_max_pixels={caps['max_pixels']}"
        )


class Film:
    """Reads forwards, once; each frame is checked against the caps (`max_frames`, `max_pixels`)."""

    def __init__(self, container: Any, stream: Any, caps: dict[str, Any]) -> None:
        self._container, self._stream, self._caps = container, stream, caps
        self._rate = float(stream.average_rate or stream.guessed_rate or 1)
        self._tick_s = float(stream.time_base or 1)
        self._index = stream.index_entries
        self._count = 0
        self._first: Any = None
        self._is_indexed = _INDEX_AT_END not in container.format.name
        self._last_key = -math.inf
        self._has_decoding_times = container.format.name == "avi"
        self._restarts, self._clock = container.format.name in RESTARTING, Clock()
        self.kinds: set[str] = set()
        """Kinds of the frames so far (`PictureConfig`)."""
        self.has_seeked = False
        """Whether a part of the film was skipped: an error after it may be the seek's."""

    @property
    def start_s(self) -> float:
        """The container's time of the first frame."""
        return float(self._first.time or 0.0)

    def frames(self) -> Iterator[tuple[float, Any]]:
        """(seconds from the first frame, frame) of all frames; None in the place of a frame that is damaged."""
        return self._checked(self._decoded())

    def _decoded(self) -> Iterator[Any]:
        return Packets(self._container, self._stream).frames()

    def frames_around(self, times: Sequence[float]) -> Iterator[tuple[float, Any]]:
        """The same, skipping stretches without a wanted time (`times`, ascending).

        If the container has an index, decoding continues at the last key frame at or before the next time. An error
        after a seek (`has_seeked`) may come from the seek: the film may still be readable without.
        """
        stretch = self.frames()
        while True:
            for shown_s, frame in stretch:
                yield shown_s, frame
                due = bisect_right(times, shown_s)
                if frame is not None and due < len(times) and self._should_seek(frame, times[due]):
                    stretch = self._seek(shown_s, times[due])
                    break
            else:
                return

    def _checked(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        if self._has_decoding_times:
            frames = in_display_order(frames)
        for frame in deinterlaced(map(self._seen, frames), self._stream):
            if self._count >= self._caps["max_frames"]:
                raise RefusedSource(f"has more than the {self._caps['max_frames']} frames accepted")
            is_missing = isinstance(frame, Missing)
            if not is_missing:
                check_size(frame.height, frame.width, self._caps)
            self._first = frame if self._first is None else self._first
            yield self._shown_s(frame), None if is_missing else frame
            self._count += 1

    def _seen(self, frame: Any) -> Any:
        if isinstance(frame, Missing):
            if self.has_seeked:
                raise FailedSeek("a film with damage after a seek is read from its start: the seek may be the fault")
            return frame
        self.kinds |= set(kinds_of(frame))
        if frame.interlaced_frame and self.has_seeked:
            raise FailedSeek("an interlaced film is read from its start: a frame depends on the one before it")
        return frame

    def _shown_s(self, frame: Any) -> float:
        """Seconds from the first frame; computed from the frame rate if the container has no timestamps."""
        if frame.time is None:
            return self._count / self._rate
        if self._restarts:
            return self._clock.continued(float(frame.time), 1 / self._rate) - self.start_s
        return float(frame.time) - self.start_s

    def _should_seek(self, frame: Any, time: float) -> bool:
        """Whether the index has a key frame well after `frame` and at or before `time`; each is sought once."""
        if frame.pts is None or self._first.pts is None or "interlaced" in self.kinds:
            return False
        if self._has_decoding_times or self._restarts:
            return False
        if not self._is_indexed:
            self._is_indexed = True
            return True  # this is cheap at the first frame, and loads the index
        # Most indices hold the time at which a frame is decoded, which is `lead` before it is shown.
        lead = self._first.pts - self._index[0].timestamp if len(self._index) else 0
        place = self._index.search_timestamp(self._pts(time) - lead)
        key = self._index[place].timestamp if place >= 0 else -math.inf
        if key <= max(frame.pts - lead + _WORTH_A_SEEK_S / self._tick_s, self._last_key):
            return False
        self._last_key = key
        return True

    def _seek(self, before_s: float, time: float) -> Iterator[tuple[float, Any]]:
        """The frames shown after `before_s`, starting with a key frame at or before `time`."""
        self.has_seeked = True
        key_frame, rest = self._key_frame(time)
        self._count += max(0, round((self._shown_s(key_frame) - before_s) * self._rate) - 1)
        num_frames = 0
        for shown_s, frame in self._checked(itertools.chain([key_frame], rest)):
            if frame.time is None:
                raise FailedSeek("a frame after a seek has no timestamp")
            if shown_s > before_s:
                yield shown_s, frame
                num_frames += 1
        if num_frames < 2:  # how long the last frame is shown is known from the distance to the one before it
            raise FailedSeek("a seek led to the last frame")

    def _key_frame(self, time: float) -> tuple[Any, Iterator[Any]]:
        """A key frame that is shown at or before `time`, and the frames that follow it."""
        for early_s in (0.0, _REORDERED_S):
            self._container.seek(self._pts(time - early_s), stream=self._stream)
            # Frames that come before the key frame are shown before it, and may depend on what was skipped.
            rest = itertools.dropwhile(lambda frame: not _is_place(frame), self._decoded())
            found = next(rest, None)
            if isinstance(found, Missing):
                break
            if found is not None and found.time is not None and self._shown_s(found) <= time + _ROUNDING_S:
                return found, rest
        raise FailedSeek("no key frame is where the index says")

    def _pts(self, time: float) -> int:
        return int(self._first.pts + math.floor(time / self._tick_s + 1e-6))


def _is_place(frame: Any) -> bool:
    return isinstance(frame, Missing) or bool(frame.key_frame)
