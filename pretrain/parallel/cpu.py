"""Megatron-core and DeepSpeed on a machine without a GPU: the only file that handles this case.

Both libraries name "cuda" in places that have nothing to do with kernels (a counter, the device of a random state).
With CUDA, everything here does nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import World
from videoar.pretrain.parallel.rendezvous import meet


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
    """Prepare both libraries; once per process, before groups and engines are made."""
    prepare_deepspeed()
    prepare_megatron()


def prepare_deepspeed() -> None:
    """Without a GPU: compiling its shared-memory all-reduce on first use takes 17 s, and gloo works as well."""
    if not torch.cuda.is_available():
        from deepspeed import ops

        ops.__compatible_ops__["deepspeed_shm_comm"] = False


def prepare_megatron() -> None:
    """Without a GPU: Megatron-core passes the current device as `device=`."""
    if not torch.cuda.is_available():
        torch.cuda.current_device = lambda: torch.device("cpu")  # type: ignore[assignment,return-value]
        torch.cuda.synchronize = lambda device=None: None


def schedule_scope() -> contextlib.AbstractContextManager[Any]:
    """Context in which Megatron-core's schedules are called."""
    return contextlib.nullcontext() if torch.cuda.is_available() else _CudaMeansCpu()


def device_of(local_rank: int) -> torch.device:
    """The device of this process."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def communication_backend() -> str:
    """NCCL between GPUs, gloo between CPUs."""
    return "nccl" if torch.cuda.is_available() else "gloo"


def host_group(timeout_s: float) -> torch.distributed.ProcessGroup | None:
    """All processes, for numbers that are on the host: through NCCL they would wait for all work of every GPU.

    None is the default group, which is that already between CPUs. Call it on every process, after `join`.
    """
    return _gloo_group(timeout_s) if communication_backend() == "nccl" else None


@functools.cache  # groups last until the process ends, and engines come and go
def _gloo_group(timeout_s: float) -> torch.distributed.ProcessGroup:
    return torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))


def join(world: World, device: torch.device, meet_within_s: float, timeout_s: float) -> None:
    """Join the default process group of the job, until the process ends. A collective may last `timeout_s`.

    This happens once per process, because torchrun's rendezvous works once; engines come and go in the same group.
    """
    if torch.distributed.is_initialized():
        return
    world.export()
    # A single process needs no rendezvous, so no torchrun either.
    store = meet(world, meet_within_s) if world.world_size > 1 else torch.distributed.HashStore()
    try:
        torch.distributed.init_process_group(
            communication_backend(),
            store=store,
            rank=world.rank,
            world_size=world.world_size,
            timeout=timedelta(seconds=timeout_s),
            device_id=device if device.type == "cuda" else None,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        remedy = "check this machine's network; GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME names an interface"
        raise Stopped(f"process {world.rank} cannot communicate ({reason}); {remedy}") from error
    atexit.register(torch.distributed.destroy_process_group)
