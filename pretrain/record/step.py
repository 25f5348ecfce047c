"""The record of a step: one JSON object in metrics.jsonl, which Weights & Biases receives too."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from videoar.data_pipeline.loading.packing import StepPlan
from videoar.pretrain.budget.flops import training_flops, utilisation
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.engine.block_norms import block_names
from videoar.pretrain.engine.loss import Tally
from videoar.pretrain.engine.protocol import StepResult


@dataclass(slots=True)
class StepTimes:
    """Wall times of one step in seconds: waiting for data, in total, and in collectives."""

    data_wait: float = 0.0
    total: float = 0.0
    communication: float | None = None
    _begun: float = 0.0

    @staticmethod
    def start() -> StepTimes:
        now = time.perf_counter()
        return StepTimes(_begun=now)

    def data_arrived(self) -> None:
        self.data_wait = time.perf_counter() - self._begun

    def restart(self) -> None:
        """Start the clock of a step: a checkpoint or validation since the last one does not count."""
        self._begun = time.perf_counter()

    def step_enqueued(self, communication: float | None) -> StepTimes:
        """The times of the step that ends here; the next one starts."""
        now = time.perf_counter()
        done = StepTimes(self.data_wait, now - self._begun, communication)
        self._begun = now
        return done


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """What is known of a step when it is enqueued; its sums may still be on the device."""

    step: int
    stage: StageConfig
    plan: StepPlan
    result: StepResult
    times: StepTimes
    learning_rate: float


def step_record(
    recipe: Recipe, report: StepReport, tally: Tally, num_processes: int, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One line of metrics.jsonl, with the fields of `extra`.

    `tally` is that of the whole step, over all data ranks. Many numbers are read from it and from the result: both
    are on the host by now.
    """
    plan, result, times = report.plan, report.result, report.times
    num_tokens = sum(pack.num_tokens for pack in plan.packs)
    flops = training_flops(recipe.model, num_tokens, float(tally.attended_pairs))
    return {
        "step": report.step,
        "stage": report.stage.name,
        "loss": float(tally.loss_sum) / plan.num_frames,
        "grad_norm": float(result.grad_norm),
        "grad_norm_by_block": _by_block(result.block_norms),
        "applied": result.applied,
        "flip_ratio": float(tally.flip_ratio),
        "tokens": num_tokens,
        "fill": num_tokens / (len(plan.packs) * report.stage.tokens_per_pack),
        "tokens_per_s": num_tokens / times.total,
        "step_s": times.total,
        "data_wait": times.data_wait,
        "communication": times.communication,
        "model_tflops_per_s": flops / times.total / 1e12,
        "mfu": utilisation(flops / times.total, num_processes),
        "peak_memory": result.peak_memory,
        **accuracy(tally),
        "learning_rate": report.learning_rate,
        **(extra or {}),
    }


def _by_block(norms: Tensor | None) -> dict[str, float | None] | None:
    """Norms by block name; null if a norm is not finite."""
    if norms is None:
        return None
    values = [value if math.isfinite(value) else None for value in norms.tolist()]
    return dict(zip(block_names(len(values) - 2), values, strict=True))


def accuracy(tally: Tally) -> dict[str, Any]:
    """Loss (nats per bit) and bit accuracy: overall, by scale, by frame and by both; null if nothing was counted."""
    loss, correct, count = _occupied(tally.table.cpu())
    record: dict[str, Any] = {"bit_accuracy": _ratios(correct.sum(), count.sum())}
    for name, dim in (("scale", 0), ("frame", 1)):
        record[f"loss_by_{name}"] = _ratios(loss.sum(dim), count.sum(dim))
        record[f"bit_accuracy_by_{name}"] = _ratios(correct.sum(dim), count.sum(dim))
    record["bit_accuracy_by_frame_and_scale"] = _ratios(correct, count)
    return record


def _occupied(table: Float64[Tensor, "3 t s"]) -> Float64[Tensor, "3 frames scales"]:
    """The table without the empty frames and scales at its end."""
    frames, scales = (int(indices.max()) + 1 if len(indices) else 0 for indices in table[2].nonzero(as_tuple=True))
    return table[:, :frames, :scales]


def _ratios(parts: Tensor, wholes: Tensor) -> Any:
    """parts / wholes as (nested lists of) numbers; None for 0 / 0, which JSON cannot write."""
    if parts.ndim:
        return [_ratios(part, whole) for part, whole in zip(parts, wholes, strict=True)]
    return float(parts / wholes) if wholes else None
