"""What this computer has for training: cores, free memory, GPUs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE

CPU_FLOPS_PER_S = 2e10
"""FLOP/s that `videoar demo --from-scratch` reaches in training on one thread, counted as `videoar plan` counts."""
_STAND_IN = "A100"
"""Kind of device whose rates are used for devices that the planner does not know."""
_CPU_SHARE = 0.5
"""Share of the memory that a run on the CPU may take: the decoder and the cache of samples need the rest."""
_OF_CONTAINER = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, kw_only=True, slots=True)
class ThisMachine:
    """Where the recipe is to run."""

    cores: int
    memory_bytes: int
    gpus: int = 0
    gpu: str = ""
    """Name of the devices, as they report it."""
    gpu_bytes: int = 0
    """Memory of one device."""

    @property
    def planned_as(self) -> str:
        """The kind of device by whose rates times are estimated: this one, if the planner knows it."""
        return next((kind for kind in GPUS if kind in self.gpu), _STAND_IN)

    @property
    def room_bytes(self) -> float:
        """Bytes that a process of the run may use."""
        return MEMORY_SHARE * self.gpu_bytes if self.gpus else _CPU_SHARE * self.memory_bytes

    def __str__(self) -> str:
        if self.gpus:
            return f"{self.gpus} x {self.gpu} of {self.gpu_bytes / 1e9:.0f} GB"
        return f"{self.cores} CPU core{'s' * (self.cores > 1)} and {self.memory_bytes / 1e9:.1f} GB of memory"


def this_machine() -> ThisMachine:
    """The computer that this runs on."""
    cores = len(os.sched_getaffinity(0))
    memory = _memory_bytes()
    if not torch.cuda.is_available():
        return ThisMachine(cores=cores, memory_bytes=memory)
    device = torch.cuda.get_device_properties(0)
    return ThisMachine(
        cores=cores, memory_bytes=memory, gpus=torch.cuda.device_count(), gpu=device.name, gpu_bytes=device.total_memory
    )


def _memory_bytes() -> int:
    """Memory of the machine, or of the container if that is less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, ValueError):  # there is no such file, or it says `max`
        limits.append(int(_OF_CONTAINER.read_text()))
    return min(limits)
