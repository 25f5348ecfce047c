"""Counts the bytes of tensors that exist at the same time, also of tensors on the meta device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """Inside the block, the sum over storages that operations have made and nothing has freed; `peak` is the largest.

    What existed before, such as weights, is not counted, and neither are workspaces inside a kernel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}
        self._at_most = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        known = {tensor.untyped_storage()._cdata for tensor in tree_leaves(args) if isinstance(tensor, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, list | tuple) else (result,):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in known:
                self._live[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
                self._at_most += storage.nbytes()
        if self._at_most > self.peak:  # looking for freed storages is slow: only where it matters
            self._live = {key: entry for key, entry in self._live.items() if not entry[0].expired()}
            self._at_most = sum(size for _, size in self._live.values())
            self.peak = max(self.peak, self._at_most)
        return result
