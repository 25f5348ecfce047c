"""Pictures of a scene, with soft edges, at any size and frame rate."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from videoar.data_pipeline.world.scene import COLOURS, Scene

_EDGE_PIXELS = 0.75
"""Half the width of an object's soft edge."""
AREA: dict[str, float] = {"square": 2.89, "circle": float(np.pi), "triangle": 1.299, "ring": 2.6389}
"""Area of a shape of radius 1."""


def draw(what: Scene, num_frames: int, pixels: tuple[int, int], fps: float) -> UInt8[np.ndarray, "f h w 3"]:
    """Frames of a scene from its beginning, RGB."""
    side = min(pixels)
    seconds = np.arange(num_frames) / fps
    image = np.repeat(_background(what, seconds, pixels)[..., None] * 255.0, 3, axis=-1)
    for thing in reversed(what.things):
        places = thing.places(seconds, (pixels[0] / side, pixels[1] / side)) * side
        cover = coverage(thing.shape, thing.radius * side, places, pixels)[..., None]
        image = image * (1 - cover) + np.array(COLOURS[thing.colour], dtype=np.float64) * cover
    return np.rint(image).astype(np.uint8)


def coverage(
    shape: str, radius: float, centres: Float[np.ndarray, "f 2"], pixels: tuple[int, int]
) -> Float[np.ndarray, "f h w"]:
    """How much of each pixel a shape covers, from the signed distance to its edge; everything in pixels."""
    rows, columns = (np.arange(length) + 0.5 for length in pixels)
    down = rows[None, :, None] - centres[:, 0, None, None]
    right = columns[None, None, :] - centres[:, 1, None, None]
    return np.clip(0.5 - _distance(shape, radius, down, right) / (2 * _EDGE_PIXELS), 0, 1)


def _distance(
    shape: str, radius: float, down: Float[np.ndarray, "f h 1"], right: Float[np.ndarray, "f 1 w"]
) -> Float[np.ndarray, "f h w"]:
    """Distance to a shape's edge in pixels, negative inside. The centre of a shape is its centre of area."""
    if shape == "square":
        return np.maximum(np.abs(down), np.abs(right)) - 0.85 * radius
    if shape == "triangle":  # equal sides, point up; the distance of a side to the centre is half that of a corner
        inner = 0.5 * radius
        slanted = np.abs(right) * (3**0.5 / 2) - down / 2
        return np.maximum(np.broadcast_to(down, np.broadcast_shapes(down.shape, right.shape)), slanted) - inner
    away = np.sqrt(down**2 + right**2)
    if shape == "ring":
        return np.abs(away - 0.7 * radius) - 0.3 * radius
    return away - radius


def _background(what: Scene, seconds: Float[np.ndarray, " f"], pixels: tuple[int, int]) -> Float[np.ndarray, "f h w"]:
    """Grey levels; as the camera pans, the pattern moves the other way."""
    low, high = what.shades
    side = min(pixels)
    down, right = (np.asarray(seconds) * velocity for velocity in what.pan_velocity)
    rows = (np.arange(pixels[0]) / side)[None, :, None] + down[:, None, None]
    columns = (np.arange(pixels[1]) / side)[None, None, :] + right[:, None, None]
    return low + (high - low) * _pattern(what, rows, columns, (pixels[0] + pixels[1]) / side)


def _pattern(
    what: Scene, rows: Float[np.ndarray, "f h 1"], columns: Float[np.ndarray, "f 1 w"], extent: float
) -> Float[np.ndarray, "f h w"]:
    if what.background == "plain":
        return np.zeros(np.broadcast_shapes(rows.shape, columns.shape))
    if what.background == "gradient":
        return (rows + columns) / extent
    if what.background == "stripes":
        return 0.5 + 0.5 * np.sin(np.pi * (rows + columns) / what.period)
    return 0.5 + 0.5 * np.sin(np.pi * rows / what.period) * np.sin(np.pi * columns / what.period)
