"""Reports a tokenizer's training: the progress line, and the programs that the recipe asks for to show it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from videoar.cluster.ground.processes.preemption import Preempted
from videoar.cluster.ground.progress import ProgressLine
from videoar.cluster.ground.watching import WatchConfig
from videoar.pretrain.record.viewer import SAMPLES, Picture
from videoar.pretrain.record.viewers import EVERY_STEP, Viewers


class TokenizerReporter:
    """The loop calls it with (done, total, metrics) after each logged step; use it as a context manager."""

    def __init__(self, run: Path, log: WatchConfig, recipe: Mapping[str, Any], save_every: int) -> None:
        """`recipe` is shown with the run; `save_every` is the number of steps between two checkpoints."""
        self._viewers = Viewers(run, log, recipe)
        self._save_every = save_every
        self._progress = ProgressLine("tokenizer")

    def __enter__(self) -> TokenizerReporter:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if kind is None or issubclass(kind, Preempted):  # the last step is saved
            self._viewers.committed(EVERY_STEP)
        self._viewers.close(kind)

    def __call__(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of a step. It is called before a checkpoint of the same step."""
        self._progress(done, total, metrics)
        self._viewers.add(done, metrics)
        self._viewers.committed((done - 1) // self._save_every * self._save_every + 1)

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Show files (.png, .mp4) by name, with the step that they are of."""
        self._viewers.add(step, {name: Picture(file) for name, file in pictures.items()}, SAMPLES)
