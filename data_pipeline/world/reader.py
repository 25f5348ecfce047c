"""Detects from pixels alone which objects of the small world a clip shows, where they are, and how they move.

Plain image processing. Everything but objects is grey, so the chroma of a pixel says how much of it an object covers,
and its hue which one. The shape is the best-fitting drawing; the direction comes from the first two latent frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from videoar.data_pipeline.world.drawing import AREA, coverage
from videoar.data_pipeline.world.scene import COLOURS, DIRECTIONS, SHAPES, SIZES, SPEEDS

_LEAST_RADIUS = 0.5 * SIZES["small"][0]
"""A smaller coloured area is not an object but the seam between two objects."""
_SHAPE_FRAMES = 5
"""Number of frames from which an object's shape is determined: the frames that show most of it."""
_FIRST_FRAMES = 5
"""Frames of the first two latent frames, in which no object bounces."""
_STILL = 0.02
"""An object that moves less than this share of the shorter side in the first frames does not move."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An object that was found."""

    colour: str
    shape: str
    size: str
    direction: str
    """Empty: it stands still, or is seen in too few frames."""
    places: Float[np.ndarray, "f 2"]
    """Row and column of the centre of what is seen of it in each frame, relative to the shorter side; NaN: hidden."""


def read(frames: UInt8[np.ndarray, "f h w 3"]) -> tuple[Seen, ...]:
    """The objects of a clip, the largest first."""
    covers, least = _covers(frames), _least_area(frames)
    areas = {colour: cover.sum(axis=(1, 2)) for colour, cover in covers.items()}
    found = [colour for colour, area in areas.items() if np.median(area) > least]
    found.sort(key=lambda colour: -float(np.median(areas[colour])))
    return tuple(_seen(colour, covers[colour], areas[colour] > least) for colour in found)


def places(frames: UInt8[np.ndarray, "f h w 3"]) -> dict[str, Float[np.ndarray, "f 2"]]:
    """Where an object of each colour is seen in each frame, as in `Seen.places`; each frame is read on its own."""
    least, found = _least_area(frames), {}
    for colour, cover in _covers(frames).items():
        found[colour] = _centres(cover) / min(cover.shape[1:])
        found[colour][cover.sum(axis=(1, 2)) <= least] = np.nan
    return found


def speed(seen: Seen, fps: float) -> str:
    """`slowly` or `quickly`, from the first frames; empty if the object stands still in them."""
    if not seen.direction:
        return ""
    first, last, moved = _first_motion(seen.places)
    rate = float(np.linalg.norm(moved)) * fps / (last - first)
    return "slowly" if rate < (SPEEDS["slowly"][1] + SPEEDS["quickly"][0]) / 2 else "quickly"


def objects(frames: UInt8[np.ndarray, "f h w 3"]) -> Bool[np.ndarray, "f h w"]:
    """The pixels that an object covers, wholly or in part."""
    return np.max([cover > 0 for cover in _covers(frames).values()], axis=0)


def _least_area(frames: UInt8[np.ndarray, "f h w 3"]) -> float:
    """Minimum number of coloured pixels of an object."""
    return _LEAST_RADIUS**2 * min(frames.shape[1:3]) ** 2 * min(AREA.values())


def _covers(frames: UInt8[np.ndarray, "f h w 3"]) -> dict[str, Float[np.ndarray, "f h w"]]:
    """How much of each pixel an object of each colour covers."""
    pixels = frames.astype(np.float64)
    pure = pixels - pixels.min(axis=-1, keepdims=True)  # what is left of a colour without the grey in it
    chroma = pure.max(axis=-1)
    palette = np.array(list(COLOURS.values()), dtype=np.float64)
    palette -= palette.min(axis=-1, keepdims=True)
    directions = palette / np.linalg.norm(palette, axis=-1, keepdims=True)
    nearest = (pure @ directions.T).argmax(axis=-1)
    full = palette.max(axis=-1)
    share = np.clip(chroma / full[nearest], 0, 1)
    share[share < 0.15] = 0.0
    return {colour: np.where(nearest == index, share, 0.0) for index, colour in enumerate(COLOURS)}


def _seen(colour: str, cover: Float[np.ndarray, "f h w"], visible: Bool[np.ndarray, " f"]) -> Seen:
    side = min(cover.shape[1:])
    centres = _centres(cover)
    centres[~visible] = np.nan
    shape, radius = _shape(cover, centres)
    size = "small" if radius / side < (SIZES["small"][1] + SIZES["large"][0]) / 2 else "large"
    return Seen(colour, shape, size, _direction(centres / side), centres / side)


def _centres(cover: Float[np.ndarray, "f h w"]) -> Float[np.ndarray, "f 2"]:
    """The centre of area in each frame, in pixels."""
    area = np.maximum(cover.sum(axis=(1, 2)), 1e-9)
    rows, columns = (np.arange(length) + 0.5 for length in cover.shape[1:])
    return np.stack([cover.sum(axis=2) @ rows / area, cover.sum(axis=1) @ columns / area], axis=-1)


def _shape(cover: Float[np.ndarray, "f h w"], centres: Float[np.ndarray, "f 2"]) -> tuple[str, float]:
    """The shape whose drawing of the same area fits best, and its radius in pixels."""
    areas = np.where(np.isnan(centres[:, 0]), 0.0, cover.sum(axis=(1, 2)))
    best = np.argsort(-areas, kind="stable")[:_SHAPE_FRAMES]
    area = float(np.median(areas[best]))
    errors = {}
    for shape in SHAPES:
        drawn = coverage(shape, (area / AREA[shape]) ** 0.5, centres[best], cover.shape[1:])
        errors[shape] = float(np.abs(drawn - cover[best]).sum())
    shape = min(errors, key=lambda name: errors[name])
    return shape, (area / AREA[shape]) ** 0.5


def _direction(places: Float[np.ndarray, "f 2"]) -> str:
    """The named direction nearest to the motion in the first frames."""
    _, _, moved = _first_motion(places)
    if np.linalg.norm(moved) < _STILL:
        return ""
    return max(DIRECTIONS, key=lambda name: float(moved @ np.array(DIRECTIONS[name])))


def _first_motion(places: Float[np.ndarray, "f 2"]) -> tuple[int, int, Float[np.ndarray, 2]]:
    """Indices of the first and last of the first frames that show the object, and its motion between them."""
    known = np.flatnonzero(~np.isnan(places[:_FIRST_FRAMES, 0]))
    if len(known) < 2:
        return 0, 0, np.zeros(2)
    return int(known[0]), int(known[-1]), places[known[-1]] - places[known[0]]
