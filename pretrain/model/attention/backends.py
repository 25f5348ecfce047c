"""The only entry to attention: from a pack's layout to the function that computes it on a device.

Training under any parallelism, evaluation and `videoar diagnose --deep` call `choose`, so a backend is added here and
nowhere else. Sampling attends through its cache (`pretrain.generate.cache`), which needs no layout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.attention.reference import reference_attention
from videoar.pretrain.model.layers import Attend

Rows = tuple[range, ...]
"""Runs of rows of a pack, in the order in which a process holds them."""

Backend = Callable[[PackLayout, torch.device, Rows], Attend]
"""Builds the attention of some query rows over all keys of a pack; `PackLayout.rectangles` lists the attended pairs."""

_BACKENDS: dict[str, Backend] = {"reference": reference_attention}


def choose(
    layout: PackLayout, device: torch.device | str, backend: str = "auto", queries: Rows | None = None
) -> Attend:
    """The attention of a pack: `attend(layer, q, k, v)` takes any number of heads.

    `queries` are the rows that q holds when a process has only some of them (context parallelism by `gather`); keys and
    values are always those of the whole pack, in its order. The result is built once for each pack, so pipeline chunks
    share one mask. InputError for a backend that does not exist.
    """
    name = "reference" if backend == "auto" else backend
    if name not in _BACKENDS:
        known = ", ".join(("auto", *_BACKENDS))
        raise InputError("attention", backend, "is not a backend of this version", f"use one of: {known}")
    rows = (range(layout.length),) if queries is None else queries
    device = torch.device(device)
    key = (name, device, rows)
    if key not in layout.attends:
        layout.attends[key] = _BACKENDS[name](layout, device, rows)
    return layout.attends[key]
