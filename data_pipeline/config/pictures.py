"""How special kinds of pictures are handled: high dynamic range, wide gamut, transparency, interlaced films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import Limits

GROUNDS = {"white": 255, "grey": 128, "black": 0}
"""Colours behind transparent pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureConfig:
    """How special kinds of pictures are handled. Plans count the inputs of each kind; `leave_out` excludes them."""

    hdr: Literal["convert", "leave_out"] = "convert"
    """High dynamic range (PQ, HLG): tone-mapped to BT.709 by FFmpeg's swscale."""
    wide_gamut: Literal["convert", "leave_out"] = "convert"
    """Colours of BT.2020 or Display P3 without high dynamic range: converted to BT.709. Pictures with the colour
    profile of a phone or camera (Display P3, Adobe RGB, ...): converted to sRGB."""
    alpha: Literal["white", "grey", "black", "leave_out"] = "white"
    """Background colour behind transparent pixels. Transparent VP8 and VP9 films are always left out."""
    interlaced: Literal["deinterlace", "leave_out"] = "deinterlace"
    """Interlaced films: deinterlaced (bwdif), frames that are not interlaced stay as they are."""
    stream: Annotated[int, Limits(0, 10_000)] | None = None
    """Index of the video in a file with several, from 0, not counting cover art; null: the default or the largest."""

    def __post_init__(self) -> None:
        check_fields(self)
