"""Megatron-core and DeepSpeed on a machine without a GPU: the only file that knows there is none.

Both libraries name "cuda" in places that have nothing to do with kernels (a counter, the device of a random state).
Where CUDA is there, everything here does nothing.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from videoar.cluster.ground.process import World


class _CudaMeansCpu(TorchFunctionMode):
    """Factory calls that ask for a CUDA tensor get a CPU tensor."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if str(kwargs.get("device", "")).startswith("cuda"):
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def prepare_libraries() -> None:
    """Once per process, before Megatron-core's groups and DeepSpeed's engine are made."""
    if torch.cuda.is_available():
        return
    from deepspeed import ops

    # Its shared-memory all-reduce would be compiled on first use, for 17 s, and gloo serves as well.
    ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # Megatron-core asks for the current device where `device=` is wanted.
    torch.cuda.current_device = lambda: torch.device("cpu")  # type: ignore[assignment,return-value]
    torch.cuda.synchronize = lambda device=None: None


def schedule_scope() -> contextlib.AbstractContextManager[Any]:
    """Around a call of Megatron-core's schedules."""
    return contextlib.nullcontext() if torch.cuda.is_available() else _CudaMeansCpu()


def device_of(local_rank: int) -> torch.device:
    """The device of this process."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def communication_backend() -> str:
    return "nccl" if torch.cuda.is_available() else "gloo"


def join(world: World, device: torch.device, timeout_s: float) -> None:
    """Enter the default process group of the job; left when the process ends. A collective may last `timeout_s`.

    Once a process: the rendezvous of torchrun does not serve a second one. Engines come and go within it.
    """
    if torch.distributed.is_initialized():
        return
    world.export()
    # A process alone meets nobody, so it needs no torchrun around it.
    meeting = {"init_method": world.rendezvous} if world.world_size > 1 else {"store": torch.distributed.HashStore()}
    torch.distributed.init_process_group(
        communication_backend(),
        **meeting,
        rank=world.rank,
        world_size=world.world_size,
        timeout=timedelta(seconds=timeout_s),
        device_id=device if device.type == "cuda" else None,
    )
    atexit.register(torch.distributed.destroy_process_group)
