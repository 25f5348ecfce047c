"""Whether a JPEG is complete: FFmpeg fills missing parts with grey without an error."""

from __future__ import annotations

import re
from os import SEEK_END
from typing import BinaryIO

_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
"""The start of a segment. Other pairs are stuffed bytes and restart markers in compressed data, or padding."""
_END = 0xD9


def is_whole(file: BinaryIO) -> bool:
    """Whether the picture reaches its end marker, baseline or progressive. Thumbnails inside do not count.

    Almost every whole file ends with the marker. Only files with something after it, or without it, are read.
    """
    file.seek(-2, SEEK_END)
    if file.read(2) == bytes((0xFF, _END)):
        return True
    file.seek(0)
    return _reaches_its_end(file.read())


def _reaches_its_end(data: bytes) -> bool:
    place = 2
    while (found := _MARKER.search(data, place)) is not None:
        if found[1][0] == _END:
            return True
        length = data[found.end() : found.end() + 2]
        if len(length) < 2:
            return False
        place = found.end() + int.from_bytes(length, "big")
    return False
