"""What a file is by its first bytes: names lie, and many files have none."""

from __future__ import annotations

NUM_BYTES = 16
"""How many bytes of a file tell what it is."""

_IMAGES = {b"\x89PNG\r\n": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_FILMS = (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")  # Matroska and WebM; program stream; MPEG video


def image_kind(beginning: bytes) -> str:
    """`png`, `jpeg`, `webp` or `bmp`; empty if it is none of them."""
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "webp"
    return next((kind for mark, kind in _IMAGES.items() if beginning.startswith(mark)), "")


def is_media(beginning: bytes) -> bool:
    """Whether a file of any name is a picture or a film of a kind that is read."""
    is_film = beginning.startswith(_FILMS) or beginning[4:8] == b"ftyp" or beginning[8:12] == b"AVI "
    return bool(image_kind(beginning)) or is_film
