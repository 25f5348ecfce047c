"""How one decoded frame becomes RGB pixels: colour, pixel aspect, orientation, resize and crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from jaxtyping import UInt8

from videoar.data_pipeline.decoding.frame_sampling import Resize, bilinear, cover
from videoar.data_pipeline.decoding.sandbox.colour_profile import to_srgb
from videoar.data_pipeline.decoding.sandbox.kinds import TO_BT709, has_alpha, is_wide, on_ground
from videoar.data_pipeline.decoding.sandbox.orientation import orientation

_UNSPECIFIED_COLOUR = 2
"""FFmpeg's number of a colour space that the file does not state."""
_THUMBNAIL_SIDE = 64
"""Pixels of a thumbnail's shorter side."""
_THUMBNAIL_ASPECT = 4
"""A thumbnail's longer side is at most this many shorter sides: a frame of one row must not become a huge picture."""


def fit_frame(
    frame: Any,
    aspect: float,
    resizer: VideoReformatter,
    height: int,
    width: int,
    crop: str | Sequence[float],
    zoom: float = 1.0,
    resize: Resize = "bicubic",
    ground: int = 255,
) -> UInt8[np.ndarray, "h w 3"]:
    """Resize to cover and crop, as the frame is shown: pixel aspect, orientation and colour profile are applied."""
    turn, converted = orientation(frame), to_srgb(frame)
    place = cover(*turn.size(frame.height, _square_width(frame, aspect)), height, width, crop, zoom)
    if has_alpha(frame):
        frame = on_ground(frame, ground)
    shown = turn.upright(_resized(frame, resizer, *turn.size(place.height, place.width), resize))
    kept = shown[place.top : place.top + height, place.left : place.left + width]
    return kept if converted is None else converted(kept)


def thumbnail(frame: Any, stream: Any, resizer: VideoReformatter, ground: int = 255) -> UInt8[np.ndarray, "h w 3"]:
    """The whole frame, small."""
    height, width = frame.height, _square_width(frame, pixel_aspect(stream))
    side, longest = _THUMBNAIL_SIDE, _THUMBNAIL_ASPECT * _THUMBNAIL_SIDE
    factor = side / min(height, width)
    shape = [min(longest, max(side, round(length * factor))) for length in (height, width)]
    turn = orientation(frame)
    if has_alpha(frame):
        frame = on_ground(frame, ground)
    colours: Any = TO_BT709 if is_wide(frame) else {}
    picture = resizer.reformat(frame, height=shape[0], width=shape[1], format="rgb24", interpolation="AREA", **colours)
    return turn.upright(picture.to_ndarray())


def shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """(height, width) on the screen, in square pixels and upright."""
    return orientation(frame).size(frame.height, _square_width(frame, pixel_aspect(stream)))


def pixel_aspect(stream: Any) -> float:
    """Width of a pixel divided by its height."""
    return float(stream.sample_aspect_ratio or 1) or 1.0


def _square_width(frame: Any, aspect: float) -> int:
    return max(1, round(frame.width * aspect))


def _resized(
    frame: Any, resizer: VideoReformatter, height: int, width: int, resize: Resize
) -> UInt8[np.ndarray, "height width 3"]:
    """Resized pixels."""
    if resize != "bilinear":
        return _rgb(frame, resizer, height, width, resize.upper())
    return bilinear(_rgb(frame, resizer, frame.height, frame.width, "BICUBIC"), height, width)


def _rgb(
    frame: Any, resizer: VideoReformatter, height: int, width: int, interpolation: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels, resized by FFmpeg. A file that states no colour space is BT.709 in high definition, else BT.601, as in
    players; wider gamuts and high dynamic range are converted to BT.709.

    A resizer keeps its tables from frame to frame: making them takes longer than using them. The pixels are a view
    into the picture, not a copy.
    """
    unlabelled = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    source = unlabelled if frame.colorspace == _UNSPECIFIED_COLOUR else None
    colours: Any = TO_BT709 if is_wide(frame) else {}
    picture = resizer.reformat(
        frame, width=width, height=height, format="rgb24", src_colorspace=source, interpolation=interpolation, **colours
    )
    plane: Any = picture.planes[0]
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(height, plane.line_size)
    return rows[:, : 3 * width].reshape(height, width, 3)
