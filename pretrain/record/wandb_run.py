"""One run at Weights & Biases for all parts of a run that was resumed, online or offline."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, Preempted
from videoar.cluster.ground.watching import WatchConfig
from videoar.pretrain.record.held import HeldRows
from videoar.pretrain.record.viewer import TRAIN, Picture, Viewer
from videoar.pretrain.run_folder import WANDB_ID

START_S = 15.0
"""Seconds that Weights & Biases has to answer before the run is logged offline (its own default is 90)."""

log = logging.getLogger(__name__)


class WandbViewer(Viewer):
    """Gives rows to a run at Weights & Biases. Names from other parts than training begin with the name of their part.

    Offline a row is written when a checkpoint holds its step, so that a resumed run has each step once. There rows get
    our steps: each part of a resumed run counts from there.
    """

    def __init__(self, logged: Any) -> None:
        """`logged` is a run that `start_wandb` opened."""
        self._run, self._held = logged, HeldRows()

    def add(self, step: int, row: Mapping[str, Any], part: str = TRAIN) -> None:
        named = {name if part == TRAIN else f"{part}/{name}": row[name] for name in row if name != "step"}
        self._held.add(step, {"step": step, **named})
        if not self._run.offline:
            self.committed(step + 1)

    def committed(self, step: int) -> None:
        for number, row in self._held.take(step):
            shown = {name: _shown(value) if isinstance(value, Picture) else value for name, value in row.items()}
            self._run.log(shown, step=number if self._run.offline else None)

    def go_back(self, step: int) -> None:
        self._held.drop(step)

    def close(self, kind: type[BaseException] | None) -> None:
        _finish(self._run, kind)


def _shown(picture: Picture) -> Any:
    import wandb

    kind = wandb.Video if picture.file.suffix == ".mp4" else wandb.Image
    return kind(str(picture.file), caption=picture.caption or None)


def start_wandb(run: Path, config: WatchConfig, recipe: Mapping[str, Any]) -> Any:
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


def _open_wandb(run: Path, config: WatchConfig, mode: Literal["online", "offline"], recipe: Mapping[str, Any]) -> Any:
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
            silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False, init_timeout=START_S
        ),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _finish(logged: Any, kind: type[BaseException] | None) -> None:
    """Tell W&B how the run ended: finished, failed, or preempted, which it shows while the run waits to resume."""
    preempted = kind is not None and issubclass(kind, Preempted)
    if preempted:
        logged.mark_preempting()
    logged.finish(exit_code=EXIT_PREEMPTED if preempted else int(kind is not None))
