"""What goes wrong in a step, and how it is told from what may go wrong."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from videoar.data_pipeline.loading.packing import StepPlan
from videoar.pretrain.config import FaultConfig
from videoar.pretrain.engine.protocol import StepResult


def is_spike(loss: float, before: Sequence[float], config: FaultConfig) -> bool:
    """Whether a loss lies above `spike_factor` times the median of the last `spike_window` ones.

    Never before half a window has been seen: the first steps of a run or a stage fall too steeply to be compared.
    """
    if not config.spike_factor or len(before) < config.spike_window // 2:
        return False
    return math.isfinite(loss) and loss > config.spike_factor * statistics.median(before)


def skipped_event(plan: StepPlan, result: StepResult) -> dict[str, Any]:
    """The facts of a step that was not applied: its samples by dataset, for whoever looks for the bad one."""
    samples: dict[str, list[str]] = {}
    for pack in plan.packs:
        for entry in pack.entries:
            samples.setdefault(entry.dataset, []).append(entry.key)
    return {"grad_norm": str(float(result.grad_norm)), "samples": samples}
