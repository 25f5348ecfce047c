"""One run at Weights & Biases for all parts of a run that was resumed, online or offline."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.preemption import EXIT_PREEMPTED, Preempted
from videoar.cluster.ground.wandb_config import WandbConfig
from videoar.pretrain.run_folder import WANDB_ID

START_S = 15.0
"""Seconds that Weights & Biases has to answer before the run is logged offline (its own default is 90)."""

log = logging.getLogger(__name__)


def start_wandb(run: Path, config: WandbConfig, recipe: Mapping[str, Any]) -> Any:
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


def _open_wandb(run: Path, config: WandbConfig, mode: Literal["online", "offline"], recipe: Mapping[str, Any]) -> Any:
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


def finish_wandb(logged: Any, kind: type[BaseException] | None) -> None:
    """Tell W&B how the run ended: finished, failed, or preempted, which it shows while the run waits to resume."""
    preempted = kind is not None and issubclass(kind, Preempted)
    if preempted:
        logged.mark_preempting()
    logged.finish(exit_code=EXIT_PREEMPTED if preempted else int(kind is not None))
