"""A run of weeks: the time of a checkpoint, how often to write one, and what failures cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from videoar.pretrain.budget.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class LongRun:
    """The cost of checkpoints, and the share of the time that is spent on steps that are not lost."""

    checkpoint_bytes: int
    """float32 masters, both moments and the moving average."""
    blocked_s: float
    """Seconds that training waits for a checkpoint: the state is copied to the host, and written while training
    continues."""
    write_s: float
    """Seconds until the checkpoint is complete."""
    mean_time_to_failure_s: float
    interval_s: float
    """Best time between two checkpoints."""
    goodput: float
    """Share of the time that is left after waiting for checkpoints, lost work and restarts."""


def long_run(checkpoint_bytes: int, gpus: int, machine: Machine) -> LongRun:
    """Every process writes its share of the checkpoint, through its node."""
    nodes = -(-gpus // machine.gpus_per_node)
    blocked_s = machine.checkpoint_pause_s + checkpoint_bytes / gpus / machine.copy_bytes_per_s
    write_s = checkpoint_bytes / min(nodes * machine.storage_bytes_per_s, machine.store_bytes_per_s)
    failure_s = 3600 / (machine.failures_per_gpu_hour * gpus)
    interval_s = max(best_interval_s(blocked_s, failure_s), write_s)
    return LongRun(
        checkpoint_bytes=checkpoint_bytes,
        blocked_s=blocked_s,
        write_s=write_s,
        mean_time_to_failure_s=failure_s,
        interval_s=interval_s,
        goodput=goodput(blocked_s, write_s, interval_s, failure_s, machine.restart_s),
    )


def best_interval_s(blocked_s: float, failure_s: float) -> float:
    """sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + d / 18M) - d, for a wait of d and a failure every M on average.

    (Young 1974, doi:10.1145/361147.361115; higher order: Daly 2006, doi:10.1016/j.future.2004.11.016, Eq. 37.)
    """
    if blocked_s >= 2 * failure_s:
        return failure_s
    ratio = blocked_s / (2 * failure_s)
    return math.sqrt(2 * blocked_s * failure_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - blocked_s


def goodput(blocked_s: float, write_s: float, interval_s: float, failure_s: float, restart_s: float) -> float:
    """Share of useful time: each failure costs half an interval, what is not written yet, and the restart."""
    lost_s = min(failure_s, interval_s / 2 + write_s + restart_s)
    return interval_s / (interval_s + blocked_s) * (1 - lost_s / failure_s)
