"""Writes each step's record to metrics.jsonl, to Weights & Biases and to the terminal."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.preemption import EXIT_PREEMPTED, Preempted
from videoar.cluster.ground.progress import ProgressLine
from videoar.pretrain.config import LogConfig
from videoar.pretrain.record.held import HeldRows
from videoar.pretrain.run_folder import METRICS, WANDB_ID, keep_lines

_WANDB_START_S = 15.0
"""Seconds that Weights & Biases has to answer before the run is logged offline (its own default is 90)."""

log = logging.getLogger(__name__)


class MetricsFile:
    """metrics.jsonl, one line per step; a resumed run first drops the lines that it will write again."""

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        self.go_back(first_step)

    def go_back(self, first_step: int) -> None:
        """Drop the lines from a step on; the next line must be that step's."""
        keep_lines(self._path, lambda record: record["step"] < first_step)
        self._file: TextIO = self._path.open("a")

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Reporter:
    """Writes each step's record to the file, to Weights & Biases and to the terminal."""

    def __init__(
        self, run: Path, config: LogConfig, recipe: Mapping[str, Any], first_step: int, num_steps: int
    ) -> None:
        self._metrics = MetricsFile(run / METRICS, first_step)
        self._wandb = _start_wandb(run, config, recipe)
        self._held = HeldRows()
        self._num_steps = num_steps
        self._progress = ProgressLine("train", num_steps, first_step)

    def __enter__(self) -> Reporter:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        self._metrics.close()
        if self._wandb is not None:
            self._finish_wandb(kind)

    def _finish_wandb(self, kind: type[BaseException] | None) -> None:
        """Tell W&B how the run ended: finished, failed, or preempted, which it shows while the run waits to resume."""
        preempted = kind is not None and issubclass(kind, Preempted)
        if preempted:
            self._wandb.mark_preempting()
        self._wandb.finish(exit_code=EXIT_PREEMPTED if preempted else int(kind is not None))

    def go_back(self, step: int) -> None:
        """The run was sent back to a step: its record and those after it are written again."""
        self._metrics.close()
        self._metrics.go_back(step)
        self._held.drop(step)
        self._progress.go_back(step)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the record of a step; steps come in order."""
        self._metrics.write(record)
        if self._wandb is not None:
            self._held.add(record["step"], _flat(record))
            if not self._wandb.offline:
                self._send(record["step"] + 1)
        figures = (
            f"loss {record['loss']:.4f}  bits {record['bit_accuracy']:.3f}  {record['tokens_per_s']:,.0f} tokens/s"
        )
        line = {key: record[key] for key in ("step", "stage", "loss", "bit_accuracy", "tokens_per_s")}
        line["of"] = self._num_steps
        self._progress.show(record["stage"], record["step"] + 1, self._num_steps, figures, line)

    def committed(self, step: int) -> None:
        """A checkpoint of a step is written: the records before it will not be written again."""
        if self._wandb is not None and self._wandb.offline:
            self._send(step)

    def _send(self, step: int) -> None:
        """Give W&B the rows before a step. Offline they get our steps: each part of a resumed run counts from there."""
        for number, row in self._held.take(step):
            self._wandb.log(row, step=number if self._wandb.offline else None)

    def show(self, folder: Path, description: Mapping[str, Any]) -> None:
        """Show the videos of a sampling in Weights & Biases, if it is on."""
        if self._wandb is None:
            return
        import wandb

        videos = {
            f"samples/{index}": wandb.Video(str(folder / one["file"]), caption=one["caption"] or one["key"])
            for index, one in enumerate(description["samples"])
        }
        step = description["step"]
        self._wandb.log({**videos, "step": step}, step=step if self._wandb.offline else None)


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """One panel per element of lists and tables: loss_by_scale/0, grad_norm_by_block/head, ..."""
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
    """One W&B run for all resumes of this run, with the step as its axis; offline where W&B cannot be reached."""
    if config.wandb == "off":
        return None
    import wandb

    try:
        logged = _open_wandb(run, config, config.wandb, recipe)
    except wandb.errors.Error as error:
        if config.wandb == "offline":
            raise Stopped(f"Weights & Biases does not start ({_first_line(error)}); set log.wandb=off") from error
        log.warning(
            "Weights & Biases cannot be used (%s): logging to %s; `wandb sync` sends it later",
            _first_line(error),
            run / "wandb",
        )
        wandb.teardown()  # its process still holds the run's id
        logged = _open_wandb(run, config, "offline", recipe)
    # W&B's own count of steps only grows: it would drop the steps that a rewind or a resumed run writes again.
    logged.define_metric("*", step_metric="step")
    return logged


def _open_wandb(run: Path, config: LogConfig, mode: Literal["online", "offline"], recipe: Mapping[str, Any]) -> Any:
    import wandb

    identity = run / WANDB_ID
    if not identity.exists():
        identity.write_text(uuid.uuid4().hex[:8])
    return wandb.init(
        project=config.wandb_project or None,
        entity=config.wandb_entity or None,
        group=config.wandb_group or None,
        name=run.name,
        dir=str(run),
        mode=mode,
        config=dict(recipe),
        id=identity.read_text(),
        resume="allow",
        settings=wandb.Settings(
            silent=True,
            console="off",
            x_disable_stats=True,
            disable_git=True,
            save_code=False,
            init_timeout=_WANDB_START_S,
        ),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
