"""Tables of one frame of a schedule, computed once: which cell each token is, where it is, and what its loss weighs."""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float32, Int64

from videoar.pretrain.config import RopeKind
from videoar.pretrain.model.rope import coordinates
from videoar.tokenizer.scales import Grid, HistoryKind, ScaleSchedule


def _grids(schedule: ScaleSchedule, history: HistoryKind) -> tuple[Grid, ...]:
    """Grids of the scales of a frame and, if context follows it, once more the last one."""
    return (*schedule.grids, schedule.grid) if history == "context" else schedule.grids


@functools.cache
def grid_cells(schedule: ScaleSchedule, history: HistoryKind) -> Int64[np.ndarray, "n 3"]:
    """Scale, row and column of the tokens of a frame and its context, which has no scale."""
    grids = [np.indices(grid).reshape(2, -1).T for grid in _grids(schedule, history)]
    scales = np.repeat([*range(schedule.num_scales), -1][: len(grids)], [len(grid) for grid in grids])
    return np.concatenate([scales[:, None], np.concatenate(grids)], axis=1)


@functools.cache
def finest_coordinates(schedule: ScaleSchedule, kind: RopeKind, history: HistoryKind) -> np.ndarray:
    """Height and width of the tokens of a frame and its context (n, 2), in cells of the finest grid."""
    scales = []
    for grid in _grids(schedule, history):
        sides = [coordinates(cells, finest, kind) for cells, finest in zip(grid, schedule.grid, strict=True)]
        scales.append(np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2))
    return np.concatenate(scales)


@functools.cache
def frame_weights(schedule: ScaleSchedule) -> Float32[np.ndarray, " n"]:
    """Loss weight of a frame's tokens: a_s = 1 / (sqrt(n_s) sum_j sqrt(n_j))."""
    roots = np.sqrt(np.asarray(schedule.tokens, np.float64))
    return np.repeat(1 / (roots * roots.sum()), schedule.tokens).astype(np.float32)
