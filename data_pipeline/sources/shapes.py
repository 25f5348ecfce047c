"""Draws moving shapes: clips with captions that need no files. A clip depends only on (seed, index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "green": (46, 160, 67),
    "blue": (56, 103, 214),
    "yellow": (241, 196, 15),
    "purple": (142, 68, 173),
    "white": (240, 240, 240),
}
SHAPES = ("square", "disc", "diamond", "ring")
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
BACKGROUNDS = ("plain", "gradient", "stripes", "checks")

_EDGE_PIXELS = 0.75
"""Half the width of a shape's soft edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """What a clip shows; lengths are relative to the shorter side of the frame."""

    shape: str
    colour: str
    direction: str
    background: str
    radius: float
    speed: float
    """Shorter sides per second; what leaves the frame comes back on the other side."""
    start: tuple[float, float]
    """Row and column of the centre in the first frame, relative to height and width."""
    shades: tuple[float, float]
    """Grey levels of the background, in [0, 1]."""
    period: float
    """Period of stripes and checks."""

    @property
    def caption(self) -> str:
        return f"a {self.colour} {self.shape} moving {self.direction}"

    @property
    def label(self) -> int:
        """Class number of the pair (shape, direction)."""
        return SHAPES.index(self.shape) * len(DIRECTIONS) + list(DIRECTIONS).index(self.direction)


def drawing(seed: int, index: int) -> Drawing:
    """What clip `index` of a seed shows. It uses raw draws: numpy guarantees that they never change."""
    raw = np.random.PCG64(np.random.SeedSequence([seed, index])).random_raw(11)
    u = [float(value) / 2.0**64 for value in raw]
    return Drawing(
        shape=SHAPES[int(u[0] * len(SHAPES))],
        colour=list(COLOURS)[int(u[1] * len(COLOURS))],
        direction=list(DIRECTIONS)[int(u[2] * len(DIRECTIONS))],
        background=BACKGROUNDS[int(u[3] * len(BACKGROUNDS))],
        radius=0.12 + 0.14 * u[4],
        speed=0.25 + 0.5 * u[5],
        start=(u[6], u[7]),
        shades=(0.05 + 0.3 * u[8], 0.3 + 0.3 * u[9]),
        period=0.15 + 0.25 * u[10],
    )


def draw_clip(seed: int, index: int, bucket: ClipBucket) -> UInt8[np.ndarray, "f h w 3"]:
    """The pixels of a clip, RGB."""
    what = drawing(seed, index)
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    side = min(height, width)
    colour = np.array(COLOURS[what.colour], dtype=np.float64)
    cover = _coverage(what, _offsets(what, bucket, height, width), what.radius * side)[..., None]
    ground = _background(what, height, width)[None, :, :, None] * 255.0
    return np.rint(ground * (1 - cover) + colour * cover).astype(np.uint8)


def _offsets(what: Drawing, bucket: ClipBucket, height: int, width: int) -> Float[np.ndarray, "2 f h w"]:
    """Distance in pixels from the centre, (down, right), on a frame whose opposite edges are joined."""
    side = min(height, width)
    travelled = np.arange(bucket.num_frames) * (what.speed * side / bucket.fps)
    offsets = []
    for axis, length in enumerate((height, width)):
        centre = what.start[axis] * length + DIRECTIONS[what.direction][axis] * travelled
        places = np.arange(length) + 0.5
        offsets.append((places[None, :] - centre[:, None] + length / 2) % length - length / 2)
    down, right = np.broadcast_arrays(offsets[0][:, :, None], offsets[1][:, None, :])
    return np.stack([down, right])


def _coverage(what: Drawing, offsets: Float[np.ndarray, "2 f h w"], radius: float) -> Float[np.ndarray, "f h w"]:
    """How much of each pixel the shape covers, from the signed distance to its edge."""
    down, right = np.abs(offsets)
    if what.shape == "square":
        distance = np.maximum(down, right) - 0.85 * radius
    elif what.shape == "diamond":
        distance = (down + right - 1.2 * radius) / np.sqrt(2.0)
    else:
        distance = np.sqrt(down**2 + right**2) - radius
        if what.shape == "ring":
            distance = np.abs(distance + 0.3 * radius) - 0.3 * radius
    return np.clip(0.5 - distance / (2 * _EDGE_PIXELS), 0, 1)


def _background(what: Drawing, height: int, width: int) -> Float[np.ndarray, "h w"]:
    low, high = what.shades
    side = min(height, width)
    rows, columns = np.meshgrid(np.arange(height) / side, np.arange(width) / side, indexing="ij")
    if what.background == "plain":
        mix = np.zeros((height, width))
    elif what.background == "gradient":
        mix = (rows + columns) * side / (height + width)
    elif what.background == "stripes":
        mix = (np.floor((rows + columns) / what.period) % 2).astype(np.float64)
    else:
        mix = ((np.floor(rows / what.period) + np.floor(columns / what.period)) % 2).astype(np.float64)
    return low + (high - low) * mix
