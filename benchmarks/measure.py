"""Measures what a step costs this process, and counts its collectives."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Call = Callable[[], object]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one call."""

    wall_s: float
    compute_s: float
    """CPU time of the calling thread: gloo's collectives run in other threads, and waiting takes no CPU time."""
    process_s: float
    """CPU time of all threads."""


def cost_of(call: Call) -> Cost:
    """The cost of one call, while this process does nothing else."""
    before = _clocks()
    call()
    after = _clocks()
    return Cost(*(end - start for start, end in zip(before, after, strict=True)))


def _clocks() -> tuple[float, float, float]:
    """The three times of `Cost`, after a GPU has finished its work."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter(), time.thread_time(), time.process_time()


def alternate(calls: Mapping[Key, Call], rounds: int) -> dict[Key, list[Cost]]:
    """Run the calls alternately, for `rounds` rounds after a warm-up round; every other round runs in reverse.

    Several processes begin each call together.
    """
    costs: dict[Key, list[Cost]] = {name: [] for name in calls}
    for round_number in range(rounds + 1):
        for name in list(calls)[:: -1 if round_number % 2 else 1]:
            if dist.is_initialized():
                dist.barrier()
            cost = cost_of(calls[name])
            if round_number:
                costs[name].append(cost)
    return costs


def medians(costs: Sequence[Cost]) -> dict[str, float]:
    """Each field's median."""
    return {name: statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__slots__}


def interquartile_ranges(costs: Sequence[Cost]) -> dict[str, float]:
    """Each field's third quartile minus its first: the spread of the middle half of the calls; 0 for one call."""
    return {name: _interquartile_range([getattr(cost, name) for cost in costs]) for name in Cost.__slots__}


def _interquartile_range(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def median_ratios(costs: Sequence[Cost], others: Sequence[Cost]) -> dict[str, float]:
    """Each field's median of cost / other over the rounds, so that a disturbance of a whole round does not matter."""
    pairs = list(zip(costs, others, strict=True))
    return {name: statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs) for name in Cost.__slots__}


def rounded(value: Any, digits: int = 4) -> Any:
    """Round the floats of a JSON value to `digits` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {name: rounded(item, digits) for name, item in value.items()}
    return [rounded(item, digits) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def counted_collectives() -> Iterator[dict[str, dict[str, int]]]:
    """Collectives that this process begins inside the block, by kind: their number, and bytes of the larger side."""
    found: dict[str, dict[str, int]] = {}
    with _Counting() as mode:
        yield found
    found |= {kind: {"count": mode.counts[kind], "size_bytes": mode.sizes[kind]} for kind in sorted(mode.counts)}


class _Counting(TorchDispatchMode):
    """Counts the calls of torch.distributed, also in backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            kind = func._schema.name.removeprefix("c10d::").strip("_")
            self.counts[kind] += 1
            self.sizes[kind] += max(map(_size_bytes, args))
        return func(*args, **(kwargs or {}))


def _size_bytes(argument: Any) -> int:
    leaves: Iterable[Any] = tree_leaves(argument)
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, Tensor))
