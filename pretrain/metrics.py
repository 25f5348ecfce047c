"""What a run tells: one JSON object a step in metrics.jsonl, the same to Weights & Biases, and a line for people."""

from __future__ import annotations

import json
import math
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import torch
from jaxtyping import Float64
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from videoar.data_pipeline.clip import StepPlan
from videoar.pretrain.config import LogConfig, ModelConfig, Recipe, StageConfig
from videoar.pretrain.engine import StepResult
from videoar.pretrain.gradients import block_names
from videoar.pretrain.loss import Tally
from videoar.pretrain.run_folder import METRICS, WANDB_ID, keep_lines


def training_flops(config: ModelConfig, tokens: int, attended_pairs: float) -> float:
    """FLOPs of one step forward and backward, without recomputation: 6 P l + 12 d pairs a layer.

    P counts the weights of the layers and of input and head (a multiply-add is two FLOPs, backward twice forward);
    a query-key pair costs 2d for the score and 2d for the value, three times over. Only attended pairs count.
    """
    per_layer = 16 * config.width**2
    weights = config.num_layers * per_layer + 2 * config.width * config.latent_dim
    return 6.0 * weights * tokens + 12.0 * config.width * config.num_layers * attended_pairs


class MetricsFile:
    """metrics.jsonl, appended a line at a time; a resumed run drops the lines it is about to write again."""

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        self.go_back(first_step)

    def go_back(self, first_step: int) -> None:
        """Drop the lines from a step on; the next one that is written is that step's."""
        keep_lines(self._path, lambda record: record["step"] < first_step)
        self._file: TextIO = self._path.open("a")

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class StepTimes:
    """Wall times of one step: seconds waited for data, and in all."""

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
        """What went on since the last step (a checkpoint, a validation) is no part of the next one."""
        self._begun = time.perf_counter()

    def step_enqueued(self, communication: float | None) -> StepTimes:
        """What this step took; the next one begins."""
        now = time.perf_counter()
        done = StepTimes(self.data_wait, now - self._begun, communication)
        self._begun = now
        return done


def step_record(
    recipe: Recipe,
    stage: StageConfig,
    step: int,
    plan: StepPlan,
    tally: Tally,
    result: StepResult,
    times: StepTimes,
    num_processes: int,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One line of metrics.jsonl; this is where the host reads the device. `extra` joins it as it is."""
    num_tokens = sum(pack.num_tokens for pack in plan.packs)
    flops = training_flops(recipe.model, num_tokens, float(tally.attended_pairs))
    return {
        "step": step,
        "stage": stage.name,
        "loss": float(tally.loss_sum) / plan.num_frames,
        "grad_norm": float(result.grad_norm),
        "grad_norm_by_block": _by_block(result.block_norms),
        "applied": result.applied,
        "flip_ratio": float(tally.flip_ratio),
        "tokens": num_tokens,
        "fill": num_tokens / (len(plan.packs) * stage.tokens_per_pack),
        "tokens_per_s": num_tokens / times.total,
        "step_s": times.total,
        "data_wait": times.data_wait,
        "communication": times.communication,
        "model_tflops_per_s": flops / times.total / 1e12,
        "mfu": utilisation(flops / times.total, num_processes),
        "peak_memory": result.peak_memory,
        **accuracy(tally),
        **(extra or {}),
    }


def _by_block(norms: Tensor | None) -> dict[str, float | None] | None:
    """By name; null where a norm is not finite."""
    if norms is None:
        return None
    values = [value if math.isfinite(value) else None for value in norms.tolist()]
    return dict(zip(block_names(len(values) - 2), values, strict=True))


def accuracy(tally: Tally) -> dict[str, Any]:
    """Loss (nats a bit) and bit accuracy: overall, by scale, by frame and by both; null where nothing was counted."""
    loss, correct, count = _occupied(tally.table.cpu())
    record: dict[str, Any] = {"bit_accuracy": _ratios(correct.sum(), count.sum())}
    for name, dim in (("scale", 0), ("frame", 1)):
        record[f"loss_by_{name}"] = _ratios(loss.sum(dim), count.sum(dim))
        record[f"bit_accuracy_by_{name}"] = _ratios(correct.sum(dim), count.sum(dim))
    record["bit_accuracy_by_frame_and_scale"] = _ratios(correct, count)
    return record


def _occupied(table: Float64[Tensor, "3 t s"]) -> Float64[Tensor, "3 frames scales"]:
    """Without the frames and scales after the last that was counted."""
    frames, scales = (int(indices.max()) + 1 if len(indices) else 0 for indices in table[2].nonzero(as_tuple=True))
    return table[:, :frames, :scales]


def _ratios(parts: Tensor, wholes: Tensor) -> Any:
    """parts / wholes as (nested lists of) numbers; None for 0 / 0, which JSON cannot say."""
    if parts.ndim:
        return [_ratios(part, whole) for part, whole in zip(parts, wholes, strict=True)]
    return float(parts / wholes) if wholes else None


PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "H800": 989e12, "A100": 312e12, "B200": 2250e12}
"""Dense bfloat16 FLOP/s by a part of the device's name, as the makers print them."""


def utilisation(flops_per_s: float, num_processes: int) -> float | None:
    """MFU: model FLOP/s (attended pairs only) over the bfloat16 peak of all devices; None where that is not known."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    peaks = [peak for part, peak in PEAK_FLOPS.items() if part in name]
    return flops_per_s / (peaks[0] * num_processes) if peaks else None


class Reporter:
    """Hands each step's record to the file, to Weights & Biases, and to whoever watches."""

    INTERVAL_S = 10.0
    """Without a terminal: seconds between two lines of JSON."""

    def __init__(
        self, run: Path, config: LogConfig, recipe: Mapping[str, Any], first_step: int, num_steps: int
    ) -> None:
        self._metrics = MetricsFile(run / METRICS, first_step)
        self._wandb = _start_wandb(run, config, recipe)
        self._terminal = sys.stderr.isatty()
        self._last_line = 0.0
        self._num_steps = num_steps
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(), disable=not self._terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("train", total=num_steps, completed=first_step, told="")

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._metrics.close()
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if kind is None else 1)

    def go_back(self, step: int) -> None:
        """The run was sent back: the steps from this one on are told again."""
        self._metrics.close()
        self._metrics.go_back(step)
        self._progress.update(self._task, completed=step)

    def record(self, record: Mapping[str, Any]) -> None:
        """One step, in order."""
        self._metrics.write(record)
        if self._wandb is not None:
            self._wandb.log(_flat(record))
        told = f"loss {record['loss']:.4f}  bits {record['bit_accuracy']:.3f}  {record['tokens_per_s']:,.0f} tokens/s"
        self._progress.update(self._task, description=record["stage"], completed=record["step"] + 1, told=told)
        self._line(record)

    def show(self, folder: Path, description: Mapping[str, Any]) -> None:
        """The videos of a sampling as panels of Weights & Biases; without it they are files and nothing more."""
        if self._wandb is None:
            return
        import wandb

        videos = {
            f"samples/{index}": wandb.Video(str(folder / one["file"]), caption=one["caption"] or one["key"])
            for index, one in enumerate(description["samples"])
        }
        self._wandb.log({**videos, "step": description["step"]})

    def _line(self, record: Mapping[str, Any]) -> None:
        now = time.monotonic()
        last_step = record["step"] + 1 == self._num_steps
        if self._terminal or (now - self._last_line < self.INTERVAL_S and not last_step):
            return
        self._last_line = now
        shown = {key: record[key] for key in ("step", "stage", "loss", "bit_accuracy", "tokens_per_s")}
        print(json.dumps({**shown, "of": self._num_steps}), file=sys.stderr, flush=True)


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and tables become one panel an element: loss_by_scale/0, grad_norm_by_block/head, ..."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, list):
            flat.update({f"{key}/{index}": item for index, item in enumerate(value) if not isinstance(item, list)})
        elif isinstance(value, Mapping):
            flat.update({f"{key}/{name}": item for name, item in value.items() if item is not None})
        elif value is not None:
            flat[key] = value
    return flat


def _start_wandb(run: Path, config: LogConfig, recipe: Mapping[str, Any]) -> Any:
    """One run there, however often this one is resumed, with the step as its axis."""
    if config.wandb == "off":
        return None
    import wandb

    identity = run / WANDB_ID
    if not identity.exists():
        identity.write_text(uuid.uuid4().hex[:8])
    logged = wandb.init(
        project="videoar", name=run.name, dir=str(run), mode=config.wandb, config=dict(recipe),
        id=identity.read_text(), resume="allow",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False),
    )  # fmt: skip
    # Its own count of steps only grows: it would drop those that a rewind or a resumed run tells again.
    logged.define_metric("*", step_metric="step")
    return logged
