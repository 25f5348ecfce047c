"""Packs host arrays into one buffer, which reaches the device in one copy that the host does not wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

Parts = Mapping[str, Sequence[np.ndarray]]
"""Lists of arrays by name; each list is concatenated along its first axis."""

_ALIGNMENT = 16
"""Alignment in bytes: a tensor of any type may begin at a multiple of it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array is in the buffer."""

    start: int
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class HostBuffer:
    """Groups of named arrays side by side in one piece of memory."""

    memory: UInt8[Tensor, " j"]
    _places: dict[str, dict[str, _Place]]

    @staticmethod
    def of(groups: Mapping[str, Parts], *, pinned: bool = False) -> HostBuffer:
        """Copies of the arrays; `pinned` memory can be copied to a GPU while the host continues."""
        places, size = _placed(groups)
        # torch reuses pinned memory only after the copies from it are done, even if the tensor is gone before.
        memory = torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
        for group, arrays in groups.items():
            for name, parts in arrays.items():
                place = places[group][name]
                view = memory.numpy()[place.start : place.stop].view(place.dtype).reshape(place.shape)
                np.concatenate(parts, out=view)
        return HostBuffer(memory, places)

    def on(self, device: torch.device | str) -> dict[str, dict[str, Tensor]]:
        """The groups on a device, as views of one tensor; on the CPU they share the memory of this buffer."""
        memory = self.memory.to(device, non_blocking=True)
        return {
            group: {name: _view(memory, place) for name, place in places.items()}
            for group, places in self._places.items()
        }


def _placed(groups: Mapping[str, Parts]) -> tuple[dict[str, dict[str, _Place]], int]:
    """The place of each array in the buffer, and the buffer's size in bytes."""
    places: dict[str, dict[str, _Place]] = {}
    end = 0
    for group, arrays in groups.items():
        places[group] = {}
        for name, parts in arrays.items():
            shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
            place = _Place(-(-end // _ALIGNMENT) * _ALIGNMENT, np.result_type(*parts), shape)
            places[group][name], end = place, place.stop
    return places, end


def _view(memory: UInt8[Tensor, " j"], place: _Place) -> Tensor:
    dtype = torch.from_numpy(np.empty(0, place.dtype)).dtype
    return memory[place.start : place.stop].view(dtype).view(place.shape)
