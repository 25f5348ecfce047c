"""PyTorch's flash attention for the CPU: dense batches that are views of the pack, without copies where rows allow."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from videoar.pretrain.model.attention.merge import Gradients, Kernels, Merged, merge
from videoar.pretrain.model.attention.plan import Batch, Call, Progression, Runs, batches_of

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class CpuFlash(Kernels):
    """One call after the other, each a dense batch of equal shapes: a CPU has no kernel for variable lengths."""

    name = "flash (PyTorch, CPU)"

    def __init__(self, calls: tuple[Call, ...]) -> None:
        self._batches = [(call, batches_of(call.pieces)) for call in calls]

    def _each(self) -> Iterator[tuple[Call, Batch]]:
        for call, batches in self._batches:
            for batch in batches:
                yield call, batch

    def head_groups(self, q: Tensor) -> Iterator[slice]:
        """Groups of heads that keep the float32 sums small; a CPU computes one head after the other anyway."""
        together = max(1, SUM_BYTES // max(1, 4 * q.shape[0] * q.shape[2]))
        return (slice(first, first + together) for first in range(0, q.shape[1], together))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, merged: Merged) -> None:
        """Attend in every batch, and merge its result."""
        for call, batch in self._each():
            query, keys, values = _read(batch, (q,), (k, v))
            out, lse = _forward(query, keys, values, 0.0, call.causal)
            into, into_lse = _view(merged.out, batch.rows), _view(merged.lse, batch.rows)
            merge(into, into_lse, out.transpose(1, 2), lse.transpose(1, 2), merges=call.merges)

    def backward(self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, sums: Gradients) -> None:
        """The kernel's own backward of every batch, with the merged output and log-sum-exp."""
        for call, batch in self._each():
            given, query, out, keys, values = _read(batch, (grad, q, merged.out), (k, v))
            lse = _view(merged.lse, batch.rows).transpose(1, 2)
            dq, dk, dv = _backward(given, query, keys, values, out, lse, 0.0, call.causal)
            _view(sums.q, batch.rows).add_(dq.transpose(1, 2))
            _add(sums.k, batch.keys, dk.transpose(1, 2))
            _add(sums.v, batch.keys, dv.transpose(1, 2))


SUM_BYTES = 1 << 21
"""Bytes of the float32 output, and of each gradient, that are added up at a time."""
BF16_ROWS = 256
"""Rows from which bf16 is the faster type: with fewer, the kernel spends its time on packing keys for each tile.

The own scales of 15 frames of 128x128 took 56 ms backward in bf16 and 18 ms in float32 on one AVX-512 core.
"""


def _read(batch: Batch, by_row: tuple[Tensor, ...], by_key: tuple[Tensor, ...]) -> list[Tensor]:
    """What a batch reads, in the shape that the kernel takes: (count, n, length, c)."""
    parts = [*(_view(part, batch.rows) for part in by_row), *(_take(part, batch.keys) for part in by_key)]
    if batch.rows.length < BF16_ROWS:
        parts = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in parts]
    # The kernel reads any strides but that of the channels.
    return [(part if part.stride(-1) == 1 else part.contiguous()).transpose(1, 2) for part in parts]


def _view(x: Tensor, rows: Progression) -> Tensor:
    """The runs of a progression as a batch (count, length, ...), without a copy."""
    step = x.stride(0)
    size, stride = (rows.count, rows.length, *x.shape[1:]), (rows.step * step, *x.stride())
    return x.as_strided(size, stride, x.storage_offset() + rows.start * step)


def _take(x: Tensor, keys: Progression | Runs) -> Tensor:
    """Keys or values of a batch; runs that lie apart are copied together."""
    if isinstance(keys, Progression):
        return _view(x, keys)
    return torch.cat([x[run.start : run.stop] for run in keys])[None]


def _add(x: Tensor, keys: Progression | Runs, part: Tensor) -> None:
    """The adjoint of `_take`."""
    if isinstance(keys, Progression):
        _view(x, keys).add_(part)
        return
    for run, own in zip(keys, part[0].split([len(run) for run in keys]), strict=True):
        x[run.start : run.stop].add_(own)
