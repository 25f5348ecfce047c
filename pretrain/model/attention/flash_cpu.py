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

    def forward(self, q: Tensor, k: Tensor, v: Tensor, merged: Merged) -> None:
        """Attend in every batch, and merge its result."""
        for call, batch in self._each():
            keys, values = (_heads_first(_take(part, batch.keys)) for part in (k, v))
            out, lse = _forward(_heads_first(_view(q, batch.rows)), keys, values, 0.0, call.causal)
            merge(
                _view(merged.out, batch.rows),
                _view(merged.lse, batch.rows),
                out.transpose(1, 2),
                lse.transpose(1, 2),
                first=not call.merges,
            )

    def backward(self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, sums: Gradients) -> None:
        """The kernel's own backward of every batch, with the merged output and log-sum-exp."""
        for call, batch in self._each():
            given, query, out = (_heads_first(_view(part, batch.rows)) for part in (grad, q, merged.out))
            keys, values = (_heads_first(_take(part, batch.keys)) for part in (k, v))
            lse = _view(merged.lse, batch.rows).transpose(1, 2)
            dq, dk, dv = _backward(given, query, keys, values, out, lse, 0.0, call.causal)
            _view(sums.q, batch.rows).add_(dq.transpose(1, 2))
            _add(sums.k, batch.keys, dk.transpose(1, 2))
            _add(sums.v, batch.keys, dv.transpose(1, 2))


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


def _heads_first(x: Tensor) -> Tensor:
    return x.transpose(1, 2)
