"""The most memory that a call takes on top of what is held before it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(call: Callable[[], object], device: torch.device) -> int | None:
    """Bytes by which memory grows at most during a call; None where a CPU process cannot measure it.

    On a GPU: tensors, counted by torch's allocator. On a CPU: resident memory, whose high-water mark Linux can reset.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    if not _reset_high_water_mark():
        return None
    before = _resident_bytes("VmRSS")
    call()
    return _resident_bytes("VmHWM") - before


def _reset_high_water_mark() -> bool:
    """Return freed pages to the system, since a call that reuses them would seem to take none; then set the mark."""
    ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5")  # man 5 proc: resets the peak resident set size
    except OSError:
        return False
    return True


def _resident_bytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
