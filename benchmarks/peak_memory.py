"""The peak memory of a call in addition to what was allocated before it."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from videoar.cluster.ground.process import set_variables


def peak_growth(call: Callable[[], object], device: torch.device) -> int:
    """Peak growth in bytes of tensors and workspaces of kernels during a call, counted by torch's allocators.

    On a CPU, memory that was allocated before the call never counts as freed.
    """
    if device.type == "cuda":
        gc.collect()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    set_variables({"KINETO_LOG_LEVEL": "99"})  # the profiler writes lines of its own
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    assert recorded.profiler is not None
    events = recorded.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return max(itertools.accumulate((size for _, size in changes), initial=0))
