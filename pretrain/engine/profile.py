"""What a process uses: the time of one step's collectives, as torch's profiler sees them, and memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

_COLLECTIVES = ("nccl", "gloo:")
"""How kernels (NCCL) and host events (gloo) of collectives begin."""


@dataclass(slots=True)
class Communication:
    """Seconds that this process spent in collectives during the step; None where it was not measured."""

    seconds: float | None = None


@contextmanager
def measured_communication(wanted: bool) -> Iterator[Communication]:
    """Profile what runs inside, when wanted; the profiler costs a few per cent, so it is wanted now and then."""
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
    """Bytes at the highest so far, of the device where there is one and of this process elsewhere."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
