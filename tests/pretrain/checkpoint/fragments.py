"""Fragments of one small parameter, cut in several ways, for the tests of checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Cut, Fragment, Place

WHOLE = torch.arange(96.0).view(8, 12)


LAYOUTS = {
    "whole": [(None, 0, 96)],
    "rows": [(Cut(0, 0, 2), 0, 48), (Cut(0, 1, 2), 0, 48)],
    "columns": [(Cut(1, index, 4), 0, 24) for index in range(4)],
    "sliced": [(None, 0, 40), (None, 40, 56)],
    "rows sliced": [(Cut(0, i, 2), start, n) for i in range(2) for start, n in ((0, 7), (7, 41))],
    "columns sliced": [(Cut(1, i, 2), start, n) for i in range(2) for start, n in ((0, 31), (31, 17))],
}


def fragment(cut: Cut | None, start: int, numel: int, whole: Tensor = WHOLE, name: str = "w") -> Fragment:
    flat = (cut.of(whole) if cut else whole).reshape(-1)[start : start + numel].clone()
    place = Place(name, tuple(whole.shape), cut, start, numel)
    return Fragment(place, {"master": flat, "exp_avg": 2 * flat, "exp_avg_sq": 3 * flat})


def empty(like: Fragment, dtype: torch.dtype = torch.float32) -> Fragment:
    return Fragment(
        like.place, {state: torch.full_like(value, -1, dtype=dtype) for state, value in like.states.items()}
    )


def opened(root: Path, step: int) -> Checkpoint:
    return Checkpoint(Storage.open(str(root)).child(checkpoint.step_name(step)))
