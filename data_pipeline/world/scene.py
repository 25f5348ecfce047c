"""What a clip of the small world shows. It depends only on (seed, index), its future on its first two latent frames.

The one exception is which of two objects is in front when they meet: those frames do not show it, the caption says it.

Lengths are relative to the shorter side of the frame, times are seconds. One or two objects of different colours move
straight at constant speed and bounce at the frame's edges; the first passes in front of the second. The camera may pan:
then the background moves, and the motion of objects is their motion on the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 44, 44),
    "yellow": (226, 206, 40),
    "green": (44, 184, 60),
    "cyan": (44, 196, 204),
    "blue": (52, 74, 222),
    "purple": (190, 52, 204),
}
"""Saturated, and far apart in hue; everything else in the world is grey."""
SHAPES = ("square", "circle", "triangle", "ring")
SIZES: dict[str, tuple[float, float]] = {"small": (0.13, 0.15), "large": (0.2, 0.23)}
"""Ranges of the radius; at 64x64 a tokenizer that makes one token of 16x16 pixels keeps the shape of such objects."""
SPEEDS: dict[str, tuple[float, float]] = {"slowly": (0.12, 0.2), "quickly": (0.32, 0.44)}
"""Ranges of the speed, in shorter sides per second."""
_DIAGONAL = 2**-0.5
DIRECTIONS: dict[str, tuple[float, float]] = {
    "left": (0.0, -1.0),
    "right": (0.0, 1.0),
    "up": (-1.0, 0.0),
    "down": (1.0, 0.0),
    "up and left": (-_DIAGONAL, -_DIAGONAL),
    "up and right": (-_DIAGONAL, _DIAGONAL),
    "down and left": (_DIAGONAL, -_DIAGONAL),
    "down and right": (_DIAGONAL, _DIAGONAL),
}
"""(down, right), of length one."""
BACKGROUNDS = ("plain", "gradient", "stripes", "checks")
PANS: dict[str, tuple[float, float]] = {name: DIRECTIONS[name] for name in ("left", "right", "up", "down")}

TWO_OBJECTS, PANNING = 0.4, 0.25
"""Shares of the clips with two objects, and with a camera that pans."""
FIRST_STRAIGHT_S = 0.5
"""No object bounces in this time: the first two latent frames, at eight frames per second, show each direction."""
_DARK, _CONTRAST = (0.1, 0.3), (0.15, 0.3)
"""Ranges of the darker shade of a background, and of its distance to the lighter one."""
PAN_SPEED = 0.25
"""Shorter sides per second."""
_PLACES = 256
"""Maximum number of draws to place the objects of a scene; in 4,000 scenes, 72 draws were enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One moving object."""

    shape: str
    colour: str
    size: str
    speed: str
    direction: str
    radius: float
    rate: float
    """Shorter sides per second."""
    start: tuple[float, float]
    """Row and column of the centre at time 0, as a share of the room that the centre has."""

    def places(self, seconds: Float[np.ndarray, " f"], extent: tuple[float, float]) -> Float[np.ndarray, "f 2"]:
        """Row and column of the centre at each time, in a frame of this height and width; it bounces at the edges."""
        room = np.array(extent) - 2 * self.radius
        velocity = np.array(DIRECTIONS[self.direction]) * self.rate
        travelled = np.array(self.start) * room + np.asarray(seconds)[:, None] * velocity
        folded = np.mod(travelled, 2 * room)
        return self.radius + np.minimum(folded, 2 * room - folded)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a clip shows."""

    things: tuple[Thing, ...]
    """The first is in front of the second."""
    background: str
    shades: tuple[float, float]
    """Two grey levels of the background, in [0, 1]."""
    period: float
    """Period of stripes and checks."""
    pan: str
    """Direction in which the camera pans; empty: it stands still."""
    phrasing: float
    """In [0, 1): chooses the phrasing of the caption."""

    @property
    def label(self) -> int:
        """Class number of the first object's shape and direction."""
        first = self.things[0]
        return SHAPES.index(first.shape) * len(DIRECTIONS) + list(DIRECTIONS).index(first.direction)

    @property
    def pan_velocity(self) -> tuple[float, float]:
        """(down, right), in shorter sides per second."""
        down, right = PANS.get(self.pan, (0.0, 0.0))
        return down * PAN_SPEED, right * PAN_SPEED


def scene(seed: int, index: int) -> Scene:
    """The scene with this index of a seed."""
    draw = _draws(seed, index)
    is_double, pans = next(draw) < TWO_OBJECTS, next(draw) < PANNING
    pan = _choice(list(PANS), next(draw)) if pans else ""
    background = _choice(BACKGROUNDS[2:] if pans else BACKGROUNDS, next(draw))  # a plain one would not show the pan
    colours = list(COLOURS)
    looks = [_look(colours.pop(int(next(draw) * len(colours))), list(SIZES), draw)]
    if is_double:
        sizes = ["small"] if looks[0].size == "large" else list(SIZES)  # two large ones would not fit side by side
        looks.append(_look(_choice(colours, next(draw)), sizes, draw))
    things, dark = _placed(looks, draw), _between(_DARK, next(draw))
    return Scene(
        things=things,
        background=background,
        shades=(dark, dark + _between(_CONTRAST, next(draw))),
        period=0.2 + 0.25 * next(draw),
        pan=pan,
        phrasing=next(draw),
    )


def _draws(seed: int, index: int) -> Iterator[float]:
    """Uniform numbers in [0, 1). Raw draws: numpy guarantees that they never change."""
    source = np.random.PCG64(np.random.SeedSequence([seed, index, 1]))
    while True:
        for raw in source.random_raw(64):
            yield float(raw >> np.uint64(11)) / 2.0**53


def _choice(names: list[str] | tuple[str, ...], drawn: float) -> str:
    return names[int(drawn * len(names))]


def _between(bounds: tuple[float, float], drawn: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * drawn


def _look(colour: str, sizes: list[str], draw: Iterator[float]) -> Thing:
    """An object that has no place yet."""
    size, speed = _choice(sizes, next(draw)), _choice(list(SPEEDS), next(draw))
    return Thing(
        shape=_choice(SHAPES, next(draw)),
        colour=colour,
        size=size,
        speed=speed,
        direction=_choice(list(DIRECTIONS), next(draw)),
        radius=_between(SIZES[size], next(draw)),
        rate=_between(SPEEDS[speed], next(draw)),
        start=(0.5, 0.5),
    )


def _placed(looks: list[Thing], draw: Iterator[float]) -> tuple[Thing, ...]:
    """The objects at places where none bounces at first, and none hides another at the start."""
    for _ in range(_PLACES):
        things = tuple(_at(look, (next(draw), next(draw))) for look in looks)
        if _is_clear(things):
            break
    return things


def _at(look: Thing, drawn: tuple[float, float]) -> Thing:
    """The object at a place from which it moves freely for a while, in the smallest frame, a square."""
    room = 1.0 - 2 * look.radius
    start = []
    for axis, share in enumerate(drawn):
        way = DIRECTIONS[look.direction][axis] * look.rate * FIRST_STRAIGHT_S / room
        low, high = max(0.0, -way), min(1.0, 1.0 - way)
        start.append(_between((low, high), share))
    return replace(look, start=(start[0], start[1]))


def _is_clear(things: tuple[Thing, ...]) -> bool:
    """Whether no two objects touch in the first frames, in a square frame."""
    if len(things) == 1:
        return True
    seconds = np.linspace(0.0, FIRST_STRAIGHT_S, 5)
    first, second = (thing.places(seconds, (1.0, 1.0)) for thing in things)
    apart = np.linalg.norm(first - second, axis=1).min()
    return bool(apart > 1.1 * (things[0].radius + things[1].radius))
