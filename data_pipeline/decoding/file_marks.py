"""Detects what a file is from its first bytes, because suffixes can be wrong or missing."""

from __future__ import annotations

from typing import Literal

NUM_BYTES = 16
"""Number of first bytes that identify the format of a picture."""
LOOK_BYTES = 400
"""Number of first bytes that distinguish pictures, films and other files: a transport stream repeats its mark."""

_IMAGES = {b"\x89PNG\r\n": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_FILMS = (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")  # Matroska and WebM; program stream; MPEG video
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # MP4 and QuickTime, which may lack the first
_OTHER_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"crx ")
_OTHERS = (b"GIF8", b"II*\x00", b"MM\x00*", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b".RMF", b"YUV4MPEG2")
"""GIF, TIFF, Flash, Ogg, ASF (wmv), RealMedia, raw video with a header."""
_PACKETS = ((0, 188), (4, 192))
"""(first mark, distance) of transport streams, and of those with times of arrival (m2ts)."""


def image_kind(beginning: bytes) -> str:
    """`png`, `jpeg`, `webp` or `bmp`; empty for any other file."""
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "webp"
    return next((kind for mark, kind in _IMAGES.items() if beginning.startswith(mark)), "")


def media_kind(beginning: bytes) -> Literal["read", "other", ""]:
    """Classify a file by its first LOOK_BYTES: a picture or film in a supported format (`read`), in another format
    (`other`), or neither (empty)."""
    if beginning[4:8] == b"ftyp" and beginning[8:12] in _OTHER_BRANDS:
        return "other"
    is_film = beginning.startswith(_FILMS) or beginning[4:8] in _BOXES or beginning[8:12] == b"AVI "
    if is_film or image_kind(beginning) or _is_transport_stream(beginning):
        return "read"
    return "other" if beginning.startswith(_OTHERS) else ""


def _is_transport_stream(beginning: bytes) -> bool:
    marks = [beginning[first::distance][:2] for first, distance in _PACKETS]
    return b"GG" in marks
