"""What is done with pictures of kinds that need a decision: high dynamic range, transparency, interlaced films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import Limits

GROUNDS = {"white": 255, "grey": 128, "black": 0}
"""Colours behind transparent pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureConfig:
    """Plans count the inputs of each kind. `leave_out` records them with the reason instead."""

    hdr: Literal["convert", "leave_out"] = "convert"
    """High dynamic range (PQ, HLG): tone-mapped to BT.709 by FFmpeg's swscale."""
    wide_gamut: Literal["convert", "leave_out"] = "convert"
    """Colours of BT.2020 or Display P3 without high dynamic range: converted to BT.709. Pictures with the colour
    profile of a phone or camera (Display P3, Adobe RGB, ...): converted to sRGB."""
    alpha: Literal["white", "grey", "black", "leave_out"] = "white"
    """Transparent pixels: what they stand on. Transparent VP8 and VP9 films are always left out."""
    interlaced: Literal["deinterlace", "leave_out"] = "deinterlace"
    """Interlaced films: deinterlaced (bwdif), frames that are not interlaced stay as they are."""
    stream: Annotated[int, Limits(0, 10_000)] | None = None
    """Which video of a file with several, from 0, not counting cover art; null: the default one, else the largest."""

    def __post_init__(self) -> None:
        check_fields(self)
