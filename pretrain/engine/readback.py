"""Reads results of the device without waiting for what was enqueued after them."""

from __future__ import annotations

import torch
from torch import Tensor


class Readback:
    """Tensors on their way to the host, copied as soon as the device has computed them.

    In contrast, reading a tensor later by `float(tensor)` would also wait for all work that was enqueued in the
    meantime.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self._copies = [_copy(tensor.detach()) for tensor in tensors]
        self._copied: torch.cuda.Event | None = None
        if any(tensor.is_cuda for tensor in tensors):
            self._copied = torch.cuda.Event()
            self._copied.record()

    def wait(self) -> list[Tensor]:
        """The values, on the host."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._copies


def _copy(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
