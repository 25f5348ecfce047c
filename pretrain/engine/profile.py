"""What a process uses: the time of a step's collectives, measured by torch's profiler, and memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

_COLLECTIVES = ("nccl", "gloo:")
"""Prefixes of the names of collectives: kernels of NCCL, host events of gloo."""


@dataclass(slots=True)
class Communication:
    """Seconds that this process spent in collectives during the step; None if it was not measured."""

    seconds: float | None = None


@contextmanager
def measured_communication(wanted: bool) -> Iterator[Communication]:
    """If `wanted`, profile the code inside. The profiler costs a few per cent, so most steps run without it."""
    found = Communication()
    if not wanted:
        yield found
        return
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities = [ProfilerActivity.CUDA]
    with profile(activities=activities, acc_events=True) as recorded:
        yield found
    microseconds = sum(
        event.self_device_time_total if torch.cuda.is_available() else event.cpu_time_total
        for event in recorded.key_averages()
        if event.key.startswith(_COLLECTIVES)
    )
    found.seconds = microseconds / 1e6


def peak_memory() -> int:
    """Highest memory use so far in bytes: of the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
