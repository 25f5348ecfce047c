"""Scale schedules: which grids a latent frame is cut into, coarse to fine.

One table for the tokenizer, the data, the generator and the sampler. A schedule has a name (HxW in pixels) and a
hash, which every artefact stores. The grids are those of Infinity (arXiv:2412.04431), whose table the paper
reuses; 128x128 is derived from the paper's 30 steps over 5 frames (VideoAR, Table 3).
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Literal

from videoar.cluster.ground.errors import InputError

PIXELS_PER_CELL = 16
"""Spatial stride of the tokenizer: pixels a latent cell is wide and high."""

FRAMES_PER_LATENT = 4
"""Temporal stride of the tokenizer; the first frame has a latent frame of its own."""

Grid = tuple[int, int]

HistoryKind = Literal["scales", "context"]
"""What the generator's later frames see of a past one: all its scales, or the context tokens that follow it."""


def latent_frames(pixel_frames: int, field: str = "num_frames") -> int:
    """Latent frames of a clip: t = 1 + (f - 1) / 4. `field` names the number in messages."""
    if pixel_frames < 1 or (pixel_frames - 1) % FRAMES_PER_LATENT:
        below = max(1, (pixel_frames - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT + 1)
        raise InputError(
            field,
            pixel_frames,
            "is not 1 + 4n, a length that the causal tokenizer can halve twice",
            f"use {below} or {below + FRAMES_PER_LATENT}",
        )
    return 1 + (pixel_frames - 1) // FRAMES_PER_LATENT


def pixel_frames(num_latent_frames: int) -> int:
    """Pixel frames of a clip with t latent frames: f = 1 + 4 (t - 1)."""
    return 1 + FRAMES_PER_LATENT * (num_latent_frames - 1)


@dataclass(frozen=True)
class ScaleSchedule:
    """The grids (rows, columns) of one latent frame, coarse to fine; the last is the full latent grid."""

    name: str
    grids: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if not self.grids:
            raise InputError("schedule.grids", self.grids, "is empty", "name at least one grid")
        for coarse, fine in zip(self.grids, self.grids[1:], strict=False):
            if coarse[0] > fine[0] or coarse[1] > fine[1]:
                raise InputError("schedule.grids", self.grids, f"{fine} follows {coarse}", "order grids coarse to fine")

    @staticmethod
    def named(name: str) -> ScaleSchedule:
        """The schedule of frames of this size ("HxW" in pixels)."""
        table = _table()
        if name not in table:
            close = ", ".join(_nearest(name))
            raise InputError("schedule", name, "is not in the table of scale schedules", f"use one of: {close}")
        return table[name]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Every name in the table, by area."""
        return tuple(sorted(_table(), key=_area))

    @property
    def grid(self) -> Grid:
        """The full latent grid (h, w), which is the grid of the last scale."""
        return self.grids[-1]

    @property
    def pixels(self) -> tuple[int, int]:
        """Height and width of the video frame, in pixels."""
        return self.grid[0] * PIXELS_PER_CELL, self.grid[1] * PIXELS_PER_CELL

    @property
    def num_scales(self) -> int:
        return len(self.grids)

    @property
    def tokens(self) -> tuple[int, ...]:
        """Tokens of each scale, n_s = h_s w_s."""
        return tuple(h * w for h, w in self.grids)

    @property
    def tokens_per_frame(self) -> int:
        return sum(self.tokens)

    def context_tokens(self, history: HistoryKind) -> int:
        """Context tokens that follow every frame of a video but its last: one for each cell of the latent grid."""
        return self.tokens[-1] if history == "context" else 0

    def video_tokens(self, num_frames: int, history: HistoryKind = "scales") -> int:
        """Tokens of a video of t latent frames in the generator's sequence: t n, and (t - 1) h w of context."""
        return num_frames * self.tokens_per_frame + (num_frames - 1) * self.context_tokens(history)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Index of the first token of each scale in a frame, followed by tokens_per_frame."""
        starts = [0]
        for count in self.tokens:
            starts.append(starts[-1] + count)
        return tuple(starts)

    @property
    def hash(self) -> str:
        """Sixteen hex digits of the grids: equal if and only if two schedules have the same grids."""
        return hashlib.sha256(json.dumps(self.grids).encode()).hexdigest()[:16]


def same_area(name: str) -> tuple[str, ...]:
    """The schedules of the same area in every aspect ratio of Infinity's table, tall to wide; a small square, which has
    no other aspect ratio, gives only itself."""
    count = ScaleSchedule.named(name).num_scales
    rows = [row for row in _infinity() if len(row) == count]
    names = [_name(row) for row in rows]
    return tuple(dict.fromkeys(sorted(names, key=_aspect))) if name in names else (name,)


def _name(grids: tuple[Grid, ...]) -> str:
    return f"{grids[-1][0] * PIXELS_PER_CELL}x{grids[-1][1] * PIXELS_PER_CELL}"


def _aspect(name: str) -> float:
    height, width = name.split("x")
    return int(width) / int(height)


def _area(name: str) -> int:
    return math.prod(int(side) for side in name.split("x"))


def _nearest(name: str) -> list[str]:
    """The names of the nearest sizes, nearest first; of the smallest sizes if `name` is not a size."""
    sides = re.fullmatch(r"0*([1-9]\d{0,5})(?:\D+0*([1-9]\d{0,5}))?", name, re.ASCII)
    if sides is None:
        return list(ScaleSchedule.names()[:8])
    wanted = int(sides[1]), int(sides[2] or sides[1])

    def distance(other: ScaleSchedule) -> float:
        return sum(math.log(side / want) ** 2 for side, want in zip(other.pixels, wanted, strict=True))

    return [other.name for other in sorted(_table().values(), key=distance)[:3]]


# Rows >= columns; the mirrored ratios are derived. The scale counts that end at 0.06, 0.25, 0.6 and 1 megapixel:
_SIZES = (7, 10, 12, 13)
_TALL: tuple[str, ...] = (
    "1x1 2x2 4x4 6x6 8x8 12x12 16x16 20x20 24x24 32x32 40x40 48x48 64x64",
    "1x1 2x2 3x3 5x4 10x8 15x12 20x16 25x20 30x24 35x28 45x36 55x44 70x56",
    "1x1 2x2 4x3 8x6 12x9 16x12 20x15 24x18 28x21 36x27 48x36 60x45 72x54",
    "1x1 2x2 3x2 6x4 9x6 15x10 21x14 27x18 33x22 39x26 48x32 63x42 78x52",
    "1x1 2x2 3x3 7x4 11x6 14x8 21x12 28x16 35x20 42x24 56x32 70x40 84x48",
    "1x1 2x2 4x2 6x3 10x5 16x8 22x11 30x15 38x19 46x23 60x30 74x37 90x45",
    "1x1 2x2 5x2 10x4 15x6 20x8 25x10 30x12 40x16 50x20 65x26 80x32 100x40",
    "1x1 2x2 6x2 9x3 15x5 21x7 27x9 36x12 45x15 54x18 72x24 90x30 111x37",
)
# Ours: small squares, prefixes of 1,2,3,4,6,8. 128x128 has 6 scales x 5 frames = the paper's 30 steps on UCF-101.
_SMALL_SQUARES = (1, 2, 3, 4, 6, 8)


def _infinity() -> list[tuple[Grid, ...]]:
    """Infinity's four sizes and eight aspect ratios with their mirrors; squares come twice."""
    rows: list[tuple[Grid, ...]] = []
    for tall in _TALL:
        grids = tuple((int(h), int(w)) for h, w in (grid.split("x") for grid in tall.split()))
        for count in _SIZES:
            rows.append(grids[:count])
            rows.append(tuple((w, h) for h, w in grids[:count]))
    return rows


@functools.cache
def _table() -> dict[str, ScaleSchedule]:
    """Every named schedule: Infinity's, and small squares."""
    small = [tuple((side, side) for side in _SMALL_SQUARES[:count]) for count in range(2, len(_SMALL_SQUARES) + 1)]
    return {_name(grids): ScaleSchedule(_name(grids), grids) for grids in (*_infinity(), *small)}
