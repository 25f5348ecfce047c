"""The only entry to attention: from a pack's layout to the function that computes it on a device.

Training under any parallelism, evaluation and `videoar diagnose --deep` call `choose`. Sampling attends through its
cache (`pretrain.generate.cache`), which needs no layout. A new backend goes into `BACKENDS`, into
`ParallelConfig.attention`, `budget/memory.py` and, if it is an operator, into `engine/recompute.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import Recipe
from videoar.pretrain.model.attention.flash import flash_attention
from videoar.pretrain.model.attention.flex import flex_attention_of, no_backward
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.attention.plan import Runs
from videoar.pretrain.model.attention.reference import reference_attention
from videoar.pretrain.model.layers import Attend

Backend = Callable[[PackLayout, torch.device, Runs], Attend]
"""Builds the attention of some query rows over all keys of a pack; `PackLayout.rectangles` lists the attended pairs."""

BACKENDS: dict[str, Backend] = {"reference": reference_attention, "flash": flash_attention, "flex": flex_attention_of}


def choose(
    layout: PackLayout, device: torch.device | str, backend: str = "auto", queries: Runs | None = None
) -> Attend:
    """The attention of a pack: `attend(layer, q, k, v)` takes any number of heads.

    `auto` is `flash` wherever its kernels exist, and `flex` elsewhere: see `backend_for`. `queries` are the rows that q
    holds when a process has only some of them (context parallelism by `gather`); keys and values are always those of
    the whole pack, in its order. The result is built once for each pack, so pipeline chunks share one plan. InputError
    for a backend that does not exist.
    """
    if backend not in ("auto", *BACKENDS):
        known = ", ".join(("auto", *BACKENDS))
        raise InputError("parallel.attention", backend, "is not a backend of this version", f"use one of: {known}")
    rows = (range(layout.length),) if queries is None else queries
    device = torch.device(device)
    if backend == "auto" and device.type != "cpu":
        # Not kept in the layout, to which it refers: a cycle would keep tables on the device until a collection.
        return _automatic(layout, device, rows)
    name = "flash" if backend == "auto" else backend
    key = (name, device, rows)
    if key not in layout.attends:
        layout.attends[key] = BACKENDS[name](layout, device, rows)
    return layout.attends[key]


def backend_for(device: torch.device, dtype: torch.dtype, head_dim: int) -> str:
    """The rule of `auto`: `flash`, but its kernels for GPUs need Ampere, 16-bit numbers and heads of 8 to 256 channels.

    Everything else there is `flex`, whose kernels take any type.
    """
    if device.type == "cpu":
        return "flash"
    fits = dtype in (torch.bfloat16, torch.float16) and head_dim % 8 == 0 and head_dim <= 256
    is_new = not torch.cuda.is_available() or torch.cuda.get_device_capability(device) >= (8, 0)
    return "flash" if is_new and fits else "flex"


def backend_of(recipe: Recipe, device: torch.device) -> str:
    """The backend that a recipe trains with, once `auto` is resolved.

    InputError, before a run starts, if it cannot train with the recipe's heads on the device.
    """
    backend, head_dim = recipe.parallel.attention, recipe.model.head_dim
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    check_backend(backend, device, dtype, head_dim)
    return backend_for(device, dtype, head_dim) if backend == "auto" else backend


def check_backend(backend: str, device: torch.device, dtype: torch.dtype, head_dim: int) -> None:
    """InputError if this backend cannot train with such heads on the device."""
    if backend == "flex" and device.type == "cpu":
        raise no_backward()
    if backend == "flash" and backend_for(device, dtype, head_dim) != "flash":
        problem = "takes bf16 and heads of 8 to 256 channels in steps of 8 on a GPU"
        raise InputError("parallel.attention", backend, problem, "use auto or flex")


def _automatic(layout: PackLayout, device: torch.device, queries: Runs) -> Attend:
    """Attention that picks its backend when it sees the type and width of the heads."""

    def attend(
        layer: int, q: Float[Tensor, "rows n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "rows n c"]:
        return choose(layout, device, backend_for(device, q.dtype, q.shape[-1]), queries)(layer, q, k, v)

    return attend
