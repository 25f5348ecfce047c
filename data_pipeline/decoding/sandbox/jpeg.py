"""Whether a JPEG is whole: FFmpeg fills what is missing with grey and says nothing."""

from __future__ import annotations

import re

_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
"""A segment begins. The others are stuffed bytes and restarts within compressed data, or filling."""
_END = 0xD9


def is_whole(data: bytes) -> bool:
    """Whether the picture reaches its end marker, baseline or progressive. Thumbnails inside do not count."""
    place = 2
    while (found := _MARKER.search(data, place)) is not None:
        if found[1][0] == _END:
            return True
        length = data[found.end() : found.end() + 2]
        if len(length) < 2:
            return False
        place = found.end() + int.from_bytes(length, "big")
    return False
