"""Reports a tokenizer's training: the progress line, and Weights & Biases if the recipe asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from videoar.cluster.ground.preemption import Preempted
from videoar.cluster.ground.progress import ProgressLine
from videoar.cluster.ground.wandb_config import WandbConfig
from videoar.pretrain.record.held import HeldRows
from videoar.pretrain.record.wandb_run import finish_wandb, start_wandb


class TokenizerReporter:
    """The loop calls it with (done, total, metrics) after each logged step; use it as a context manager.

    An offline row reaches W&B when a checkpoint holds its step, so that a resumed run has each step once.
    """

    def __init__(self, run: Path, log: WandbConfig, recipe: Mapping[str, Any], save_every: int) -> None:
        """`recipe` is shown with the run; `save_every` is the number of steps between two checkpoints."""
        self._wandb = start_wandb(run, log, recipe)
        self._save_every = save_every
        self._held = HeldRows()
        self._progress = ProgressLine("tokenizer")

    def __enter__(self) -> TokenizerReporter:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if self._wandb is None:
            return
        if kind is None or issubclass(kind, Preempted):  # the last step is saved
            self._send(None)
        finish_wandb(self._wandb, kind)

    def __call__(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of a step. It is called before a checkpoint of the same step."""
        self._progress(done, total, metrics)
        if self._wandb is None:
            return
        self._held.add(done, {"step": done, **metrics})
        self._send((done - 1) // self._save_every * self._save_every if self._wandb.offline else None)

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Show files (.png, .mp4) by name, with the step that they are of."""
        if self._wandb is not None:
            self._held.add(step, {"step": step, **pictures})

    def _send(self, saved: int | None) -> None:
        """Give W&B the rows up to a step; all if it is None. Offline they get our steps (see `Reporter`)."""
        for step, row in self._held.take(_ALL if saved is None else saved + 1):
            shown = {name: _shown(value) if isinstance(value, Path) else value for name, value in row.items()}
            self._wandb.log(shown, step=step if self._wandb.offline else None)


_ALL = 1 << 62


def _shown(file: Path) -> Any:
    import wandb

    return wandb.Video(str(file)) if file.suffix == ".mp4" else wandb.Image(str(file))
