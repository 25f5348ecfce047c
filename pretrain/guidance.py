"""Temporal-spatial adaptive guidance: the strength of the condition by frame and scale (VideoAR §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import Limits

Gamma = Annotated[float, Limits(0, 1000)]
"""Strength of guidance: 1 turns it off, 0 ignores the condition."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """gamma(t, s), bilinear between its four corners; t runs over the frames, s over the scales, both from 0.

    gamma = (1 - u)(1 - v) first_coarse + u (1 - v) last_coarse + (1 - u) v first_fine + u v last_fine,
    with u = t/(n-1) over n frames and v = s/(S-1) over S scales; u = 0 for one frame, v = 0 for one scale. Any pair of
    ramps, added or chained, is of this form.
    """

    first_coarse: Gamma
    """gamma of the first frame's first scale."""
    last_coarse: Gamma
    """gamma of the last frame's first scale."""
    first_fine: Gamma
    """gamma of the first frame's last scale."""
    last_fine: Gamma
    """gamma of the last frame's last scale."""

    def __post_init__(self) -> None:
        check_fields(self)

    @staticmethod
    def constant(gamma: float) -> Guidance:
        """The same gamma for every frame and scale; 1 turns guidance off."""
        return Guidance(gamma, gamma, gamma, gamma)

    @property
    def is_off(self) -> bool:
        """gamma is 1 everywhere: the unconditional branch has no effect and is not run."""
        return self == Guidance.constant(1.0)

    def gamma(self, frame: int, scale: int, *, num_frames: int, num_scales: int) -> float:
        """The strength at one frame and scale."""
        u, v = frame / max(num_frames - 1, 1), scale / max(num_scales - 1, 1)
        coarse = (1 - u) * self.first_coarse + u * self.last_coarse
        fine = (1 - u) * self.first_fine + u * self.last_fine
        return (1 - v) * coarse + v * fine


# first = 1 + 4t/(n-1), then first + (10 - first) s/(S-1); and 5 - 2 (t/(n-1) + s/(S-1)) / 2 (VideoAR §5.1).
_NAMED = {"ucf101": Guidance(1.0, 5.0, 10.0, 10.0), "t2v": Guidance(5.0, 4.0, 4.0, 3.0)}


def parse_guidance(value: str | float | Guidance) -> Guidance:
    """A preset by name (`ucf101`, `t2v`), a constant, or four corners "a,b,c,d" in the order of the fields."""
    if isinstance(value, Guidance):
        return value
    if isinstance(value, str) and value in _NAMED:
        return _NAMED[value]
    try:
        corners = [float(part) for part in str(value).split(",")]
        return Guidance.constant(corners[0]) if len(corners) == 1 else Guidance(*corners)
    except InputError as error:
        raise InputError("guidance", value, error.problem, error.remedy) from error
    except (ValueError, TypeError) as error:
        raise InputError(
            "guidance",
            value,
            "is neither a preset nor a number",
            f"use {', '.join(_NAMED)}, a constant such as 3, or four corners such as 5,4,4,3",
        ) from error
