"""All programs that a recipe asks for to show its run, as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoar.cluster.ground.watching import WatchConfig
from videoar.pretrain.record.tensorboard import TensorBoard
from videoar.pretrain.record.viewer import TRAIN, Viewer
from videoar.pretrain.record.wandb_run import WandbViewer, start_wandb

EVERY_STEP = 1 << 62
"""For `committed`: all rows are final."""


class Viewers(Viewer):
    """Weights & Biases and TensorBoard, or one of them, or none."""

    def __init__(self, run: Path, config: WatchConfig, recipe: Mapping[str, Any]) -> None:
        """`recipe` is shown with the run."""
        logged = start_wandb(run, config, recipe)
        self._viewers: list[Viewer] = [] if logged is None else [WandbViewer(logged)]
        if config.tensorboard:
            self._viewers.append(TensorBoard(run))

    def add(self, step: int, row: Mapping[str, Any], part: str = TRAIN) -> None:
        for viewer in self._viewers:
            viewer.add(step, row, part)

    def committed(self, step: int) -> None:
        for viewer in self._viewers:
            viewer.committed(step)

    def go_back(self, step: int) -> None:
        for viewer in self._viewers:
            viewer.go_back(step)

    def close(self, kind: type[BaseException] | None) -> None:
        for viewer in self._viewers:
            viewer.close(kind)
