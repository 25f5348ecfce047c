"""Counts what a piece of code asks of its device: on a GPU, operations are launches, and reads make the host wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_FREE = (
    *("alias", "as_strided", "detach", "expand", "lift_fresh", "permute", "select", "slice", "split"),
    *("split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "_unsafe_view", "empty"),
)
"""Views, and allocations without a value."""


class Operations(TorchDispatchMode):
    """Context in which operations are counted, of the backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.launches = 0
        self.reads = 0
        """Values that the host has read from tensors."""
        self.largest = 0
        """Elements of the largest tensor that an operation returned."""

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        if name == "_local_scalar_dense":
            self.reads += 1
        elif name not in _FREE:
            self.launches += 1
        function: Callable[..., Any] = operation
        result = function(*args, **(kwargs or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        self.largest = max(self.largest, *sizes, 0)
        return result
