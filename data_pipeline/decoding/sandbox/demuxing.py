"""Reads a file's packets, and FFmpeg's log messages about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av

_MOST_FAILURES = 1000
"""Number of consecutive failures to read a packet after which the rest of a film is abandoned."""
_MARKED_EARLY = 2
"""A mark "torn" is at most this number of packets early: a packet is completed only when the next one begins."""
_SYNC, _UNIT = 0x47, 188
"""The byte with which each unit of a transport stream begins, and its length."""
_DISTANCES = (_UNIT, 192, 204)
"""From one unit to the next: alone, after its time of arrival (m2ts), or before bytes that correct errors."""
_NUM_UNITS = 16
"""Units at the end of a file by which their distance is found."""

Log = list[tuple[int, str, str]]
"""FFmpeg's messages: level, name of the component, text."""


def read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream; None in the place of those that could not be read, or after one whose end is missing."""
    failures, torn = 0, list[Any]()
    while failures < _MOST_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                if packet.is_corrupt or torn:
                    torn.append(packet)
                    if len(torn) > _MARKED_EARLY:
                        yield from torn if _is_joint(*torn[-2:]) else [None, packet]
                        torn = []
                    continue
                if is_end(packet) and _breaks_off(container):
                    yield None
                yield packet
            break
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            failures, torn = failures + 1, []
            yield None
    if torn:
        yield None


def is_picture(container: Any) -> bool:
    """Whether the file is a picture rather than a film."""
    return bool(container.format.name.endswith("_pipe"))


def is_end(packet: Any) -> bool:
    """Whether this is the empty packet after the last one."""
    return not packet.size and packet.dts is None


def _is_joint(last: Any, first: Any) -> bool:
    """Whether two packets meet where streams were joined: the packet counter restarts there, as does the clock."""
    return first.is_keyframe and None not in (last.dts, first.dts) and first.dts < last.dts


def _breaks_off(container: Any) -> bool:
    """Whether a transport stream ends within a unit: FFmpeg would return the last packet as if it were complete."""
    if container.format.name != "mpegts":
        return False
    with open(container.name.removeprefix("file:"), "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _NUM_UNITS * max(_DISTANCES)))
        end = file.read()
    for distance in _DISTANCES:
        for first in range(distance):
            marks = range(first, len(end), distance)
            if marks and all(end[mark] == _SYNC for mark in marks):
                return len(end) - marks[-1] < _UNIT
    return True


def has_lost_place(container: Any, log: Log) -> bool:
    """Whether the demuxer had to search for the next packet: it does not report what it skips."""
    return any(level <= av.logging.ERROR and name == container.format.name for level, name, _ in log)


@contextmanager
def heard() -> Iterator[Log]:
    """FFmpeg's messages from now on. Repeated messages are kept: the next one may be about another picture."""
    before = av.logging.get_level()
    av.logging.set_skip_repeated(False)
    av.logging.set_level(av.logging.INFO)
    capture = av.logging.Capture(local=False)
    try:
        with capture as log:
            yield log
    finally:
        av.logging.set_level(before)
