"""Detects from pixels alone how the camera of a clip of the small world pans."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from videoar.data_pipeline.world.reader import objects
from videoar.data_pipeline.world.scene import PAN_SPEED, PANS

_APART_S = 0.5
"""Seconds between two frames that are compared: a camera that pans moves by an eighth of the shorter side."""
_CLOSE = 1.25
"""Errors within this factor of the smallest error count as equal."""
_NOISE = 1.0
"""Differences up to this number of grey levels are noise."""


def pans(frames: UInt8[np.ndarray, "f h w 3"], fps: float) -> frozenset[str]:
    """The directions in which the camera may pan; empty if it stands still.

    Two of them are possible over diagonal stripes, which look the same from both. A background that shows no motion,
    such as a plain one, counts as standing still.
    """
    apart = round(_APART_S * fps)
    if not 0 < apart < len(frames):
        return frozenset()
    grey = np.where(objects(frames), np.nan, frames.mean(axis=-1))
    shift = round(PAN_SPEED * apart / fps * min(frames.shape[1:3]))
    moves = {"": (0.0, 0.0), **PANS}
    errors = {
        name: _error(grey[:-apart], grey[apart:], round(shift * down), round(shift * right))
        for name, (down, right) in moves.items()
    }
    limit = _CLOSE * min(errors.values()) + _NOISE
    found = frozenset(name for name, error in errors.items() if error <= limit)
    return frozenset() if "" in found else found


def _error(before: Float[np.ndarray, "f h w"], after: Float[np.ndarray, "f h w"], down: int, right: int) -> float:
    """Mean difference in grey levels, where both frames show background, if the camera moved by this many pixels."""
    height, width = before.shape[1:]
    seen = before[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
    again = after[:, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)]
    difference = np.abs(seen - again)
    return float(np.nanmean(difference)) if not np.isnan(difference).all() else np.inf
