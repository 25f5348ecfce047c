"""Detects loss spikes and describes skipped steps."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from videoar.data_pipeline.loading.packing import StepPlan
from videoar.pretrain.config import FaultConfig
from videoar.pretrain.engine.protocol import StepResult


@dataclass(slots=True)
class LossHistory:
    """The losses of the last `spike_window` steps, with which a loss is compared to detect a spike."""

    config: FaultConfig
    losses: list[float]
    """The losses, oldest first."""

    def add(self, loss: float) -> bool:
        """Whether this loss is a spike; if not, and if it is finite, it joins the history."""
        if self._is_spike(loss):
            return True
        if math.isfinite(loss):
            self.losses = [*self.losses, loss][-self.config.spike_window :]
        return False

    def _is_spike(self, loss: float) -> bool:
        """Whether a loss is above `spike_factor` times the median of the history.

        It is never a spike before the history is half full, because the losses of the first steps of a run or a stage
        fall too steeply.
        """
        if not self.config.spike_factor or len(self.losses) < self.config.spike_window // 2:
            return False
        return math.isfinite(loss) and loss > self.config.spike_factor * statistics.median(self.losses)


def skipped_event(plan: StepPlan, result: StepResult) -> dict[str, Any]:
    """The facts of a step that was not applied: its samples by dataset, to find the bad one."""
    samples: dict[str, list[str]] = {}
    for pack in plan.packs:
        for entry in pack.entries:
            samples.setdefault(entry.dataset, []).append(entry.key)
    return {"grad_norm": str(float(result.grad_norm)), "samples": samples}
