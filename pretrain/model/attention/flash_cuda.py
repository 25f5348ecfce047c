"""Flash attention for variable lengths on a GPU.

Rows and keys of a call are gathered unless they are consecutive; backward gathers them again, so they are not kept.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from videoar.pretrain.model.attention.layout import indices, moved
from videoar.pretrain.model.attention.merge import Gradients, Kernels, Merged, merge
from videoar.pretrain.model.attention.plan import Call, Piece

log = logging.getLogger(__name__)

MOST_KEYS = 1 << 16
"""Largest number of keys that one kernel reads, because they are copies: 0.7 GB with the values of 20 heads of 128
in bf16."""


class VarlenKernels(ABC):
    """Attention of consecutive segments: rows of segment i of q against segment i of k and v. Shapes (total, n, c)."""

    @abstractmethod
    def forward(self, q: Tensor, k: Tensor, v: Tensor, segments: VarlenRows) -> tuple[Tensor, Tensor]:
        """Output (rows, n, c) and log-sum-exp (rows, n)."""

    @abstractmethod
    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, segments: VarlenRows
    ) -> Gradients:
        """Gradients of q, k and v from the merged output and log-sum-exp of the rows."""


class VarlenRows:
    """Where pieces of one call are: offsets for the kernels, and which rows and keys to gather, on the device."""

    def __init__(self, call: Call, pieces: tuple[Piece, ...], device: torch.device) -> None:
        self.causal, self.merges = call.causal, call.merges
        self.offsets_q = _offsets([len(piece.rows) for piece in pieces], device)
        self.offsets_k = _offsets([piece.num_keys for piece in pieces], device)
        self.longest_q = max(len(piece.rows) for piece in pieces)
        self.longest_k = max(piece.num_keys for piece in pieces)
        self._rows = _selection([piece.rows for piece in pieces], device)
        self._keys = _selection([run for piece in pieces for run in piece.keys], device)

    def rows(self, x: Tensor) -> Tensor:
        """The rows of q, or of a tensor of its shape: a view if they are consecutive."""
        return _select(x, self._rows)

    def keys(self, x: Tensor) -> Tensor:
        """Keys or values, gathered."""
        return _select(x, self._keys)

    def put_rows(self, x: Tensor, part: Tensor) -> None:
        """Write back what `rows` copied. Where it gave a view, `x` has already changed."""
        if isinstance(self._rows, Tensor):
            x.index_copy_(0, self._rows, part)

    def add_rows(self, x: Tensor, part: Tensor) -> None:
        """Add to the rows; no row is there twice."""
        _add(x, self._rows, part)

    def add_keys(self, x: Tensor, part: Tensor) -> None:
        """The adjoint of `keys`: a key that many pieces read receives their sum."""
        _add(x, self._keys, part)


class VarlenFlash(Kernels):
    """The calls of a pack on variable-length kernels."""

    def __init__(self, calls: tuple[Call, ...], device: torch.device, kernels: VarlenKernels) -> None:
        self._kernels = kernels
        self._segments = [VarlenRows(call, group, device) for call in calls for group in divide(call.pieces, MOST_KEYS)]

    def forward(self, q: Tensor, k: Tensor, v: Tensor, merged: Merged) -> None:
        """Attend in every call, and merge its result."""
        for group in self._segments:
            part, part_lse = self._kernels.forward(group.rows(q), group.keys(k), group.keys(v), group)
            out, lse = group.rows(merged.out), group.rows(merged.lse)
            merge(out, lse, part, part_lse, merges=group.merges)
            group.put_rows(merged.out, out)
            group.put_rows(merged.lse, lse)

    def backward(self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, sums: Gradients) -> None:
        """The kernel's own backward of every call; keys are gathered again instead of kept."""
        for group in self._segments:
            rows = Merged(group.rows(merged.out), group.rows(merged.lse))
            found = self._kernels.backward(group.rows(grad), group.rows(q), group.keys(k), group.keys(v), rows, group)
            group.add_rows(sums.q, found.q)
            group.add_keys(sums.k, found.k)
            group.add_keys(sums.v, found.v)


def divide(pieces: tuple[Piece, ...], most_keys: int) -> Iterator[tuple[Piece, ...]]:
    """The pieces in groups of at most this many keys; a piece with more is a group of its own."""
    first, keys = 0, 0
    for index, piece in enumerate(pieces):
        if index > first and keys + piece.num_keys > most_keys:
            yield pieces[first:index]
            first, keys = index, 0
        keys += piece.num_keys
    yield pieces[first:]


Selection = slice | Tensor
"""Consecutive rows as a slice, or the indices of rows that are not consecutive."""


def _selection(runs: Sequence[range], device: torch.device) -> Selection:
    if all(run.stop == following.start for run, following in itertools.pairwise(runs)):
        return slice(runs[0].start, runs[-1].stop)
    return moved(indices(runs), device)


def _offsets(lengths: Sequence[int], device: torch.device) -> Tensor:
    return moved(np.cumsum([0, *lengths], dtype=np.int32), device)


def _select(x: Tensor, selection: Selection) -> Tensor:
    return x[selection] if isinstance(selection, slice) else x.index_select(0, selection)


def _add(x: Tensor, selection: Selection, part: Tensor) -> None:
    if isinstance(selection, slice):
        x[selection].add_(part)
    else:
        x.index_add_(0, selection, part.to(x.dtype))


class AtenFlash(VarlenKernels):
    """The kernels behind PyTorch's own flash attention: FlashAttention-2, or what has been activated in its place."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, segments: VarlenRows) -> tuple[Tensor, Tensor]:
        out, lse, *_ = torch.ops.aten._flash_attention_forward(
            *(_channels_together(part) for part in (q, k, v)),
            segments.offsets_q,
            segments.offsets_k,
            segments.longest_q,
            segments.longest_k,
            0.0,
            segments.causal,
            False,
        )
        return out, lse.T

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, segments: VarlenRows
    ) -> Gradients:
        no_dropout = _no_dropout(q.device)
        dq, dk, dv = torch.ops.aten._flash_attention_backward(
            *(_channels_together(part) for part in (grad, q, k, v, merged.out)),
            merged.lse.T.contiguous(),
            segments.offsets_q,
            segments.offsets_k,
            segments.longest_q,
            segments.longest_k,
            0.0,
            segments.causal,
            no_dropout,
            no_dropout,
        )
        return Gradients(dq, dk, dv)


def _channels_together(x: Tensor) -> Tensor:
    """The kernels read any strides but that of the channels."""
    return x if x.stride(-1) == 1 else x.contiguous()


@functools.cache
def _no_dropout(device: torch.device) -> Tensor:
    """The state of a random generator that nothing is drawn from."""
    return torch.zeros(2, dtype=torch.uint64, device=device)


PACKAGES = {"FA4": ("flash_attn.cute", (9, 10)), "FA3": ("flash_attn_interface", (9,))}
"""Faster kernels that PyTorch can put behind its flash attention: their module, and the GPUs (major) they are for."""


@functools.cache
def cuda_kernels() -> AtenFlash:
    """PyTorch's flash attention, with the newest kernels that are installed for this GPU."""
    activate_kernels()
    return AtenFlash()


@functools.cache
def activate_kernels() -> str:
    """The name of the newest installed kernels for this GPU, now behind every flash attention of this process."""
    from torch.nn import attention

    major, _ = torch.cuda.get_device_capability()
    known: list[str] = getattr(attention, "list_flash_attention_impls", list)()
    for name, (module, majors) in PACKAGES.items():
        if name in known and major in majors and _is_installed(module):
            try:
                attention.activate_flash_attention_impl(name)
            except (ImportError, OSError, RuntimeError) as error:  # a package may be for another PyTorch
                _warn(module, error)
            else:
                return name
    return "FA2"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
    except (ImportError, OSError) as error:
        _warn(module, error)
        return False


def _warn(module: str, error: Exception) -> None:
    log.warning("%s is installed but does not work here, so FA2 computes attention: %s", module, error)
