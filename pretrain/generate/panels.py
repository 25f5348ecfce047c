"""Several versions of clips as one video: side by side, and one below the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

Panel = UInt8[np.ndarray, "f h w 3"]

_GAP = 6
_GREY, _BLUE = (127, 127, 127), (58, 124, 222)


def side_by_side(panels: Sequence[Panel], made_from: Sequence[int], zoom: int = 2) -> UInt8[np.ndarray, "f _h _w 3"]:
    """Clips of one size side by side; a blue line marks the frames that a model made, a grey line the others.

    `made_from` is the index of the first frame that a model made, for each clip; `zoom` repeats pixels.
    """
    columns = []
    for clip, first in zip(panels, made_from, strict=True):
        line = np.empty((len(clip), _GAP // 2, clip.shape[2], 3), np.uint8)
        line[:first], line[first:] = _GREY, _BLUE
        columns.append(np.concatenate([clip, line], axis=1))
    gap = np.full((*columns[0].shape[:2], _GAP, 3), _GREY, np.uint8)
    spaced = [part for column in columns for part in (column, gap)][:-1]
    return np.concatenate(spaced, axis=2).repeat(zoom, axis=1).repeat(zoom, axis=2)


def one_below_the_other(rows: Sequence[UInt8[np.ndarray, "_f _h _w 3"]]) -> UInt8[np.ndarray, "_g _i _j 3"]:
    """Clips of any sizes and lengths as one clip: smaller ones are on the left, shorter ones repeat their last
    frame."""
    length, width = (max(row.shape[axis] for row in rows) for axis in (0, 2))
    fitted = []
    for row in rows:
        still = np.concatenate([row, row[-1:].repeat(length - len(row), axis=0)])
        fitted.append(np.pad(still, ((0, 0), (0, _GAP), (0, width - row.shape[2]), (0, 0)), constant_values=_GREY[0]))
    return np.concatenate(fitted, axis=1)
