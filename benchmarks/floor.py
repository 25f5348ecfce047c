"""The least time that work can take on a device: the larger of FLOPs over its FLOP/s and bytes over its bytes/s."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from videoar.pretrain.budget.machine import GPUS

MEASURED_S = 0.2
"""Seconds for which each rate that is not published is measured."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work that cannot be avoided: useful FLOPs, and each input read and each result written once."""

    flops: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Peaks:
    """The rates that no work exceeds."""

    flops_per_s: float
    bytes_per_s: float
    source: Literal["published", "measured"]

    def floor_s(self, work: Work) -> float:
        """The least seconds of the work, if arithmetic and memory overlap completely."""
        return max(work.flops / self.flops_per_s, work.size_bytes / self.bytes_per_s)

    def bound(self, work: Work) -> Literal["flops", "bytes"]:
        """Which of the two takes longer."""
        is_arithmetic = work.flops / self.flops_per_s >= work.size_bytes / self.bytes_per_s
        return "flops" if is_arithmetic else "bytes"


def peaks(device: torch.device, dtype: torch.dtype) -> Peaks:
    """Published rates of a known GPU in bfloat16; otherwise the measured ones."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    for part, gpu in GPUS.items():
        if part in name and dtype == torch.bfloat16:
            return Peaks(gpu.flops_per_s, gpu.memory_bytes_per_s, "published")
    return measured_peaks(device, dtype)


@functools.cache
def measured_peaks(device: torch.device, dtype: torch.dtype) -> Peaks:
    """The rates of a matrix product and a copy, measured once in this process."""
    return Peaks(_product_rate(device, dtype), _copy_rate(device), "measured")


def _product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of some products of square matrices."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2.0 * side**3 / _least_s(lambda: torch.mm(a, b, out=out), device)


def _copy_rate(device: torch.device) -> float:
    """Bytes/s of the fastest of some copies, reads and writes both counted; larger than the caches."""
    source = torch.ones(1 << 26, device=device)
    target = torch.empty_like(source)
    return 2.0 * source.numel() * source.element_size() / _least_s(lambda: target.copy_(source), device)


def _least_s(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of many calls: on a shared machine most of them are disturbed."""
    found, end = list[float](), time.perf_counter() + MEASURED_S
    while time.perf_counter() < end or len(found) < 8:
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begun)
    return min(found)
