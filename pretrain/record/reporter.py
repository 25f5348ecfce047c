"""Writes each step's record to metrics.jsonl, to the programs that show the run, and to the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from videoar.cluster.ground.progress import ProgressLine
from videoar.pretrain.config import LogConfig
from videoar.pretrain.record.viewer import SAMPLES, Picture
from videoar.pretrain.record.viewers import Viewers
from videoar.pretrain.run_folder import METRICS, keep_lines


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
    """Writes each step's record to the file, to the programs that show the run, and to the terminal."""

    def __init__(
        self, run: Path, config: LogConfig, recipe: Mapping[str, Any], first_step: int, num_steps: int
    ) -> None:
        self._metrics = MetricsFile(run / METRICS, first_step)
        self._viewers = Viewers(run, config, recipe)
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
        self._viewers.close(kind)

    def go_back(self, step: int) -> None:
        """The run was sent back to a step: its record and those after it are written again."""
        self._metrics.close()
        self._metrics.go_back(step)
        self._viewers.go_back(step)
        self._progress.go_back(step)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the record of a step; steps come in order."""
        self._metrics.write(record)
        self._viewers.add(record["step"], _flat(record))
        figures = (
            f"loss {record['loss']:.4f}  bits {record['bit_accuracy']:.3f}  {record['tokens_per_s']:,.0f} tokens/s"
        )
        line = {"step": record["step"], "of": self._num_steps, "stage": record["stage"]}
        line |= {key: float(f"{record[key]:.4g}") for key in ("loss", "bit_accuracy", "tokens_per_s")}
        self._progress.show(record["stage"], record["step"] + 1, self._num_steps, figures, line)

    def committed(self, step: int) -> None:
        """A checkpoint of a step is written: the records before it will not be written again."""
        self._viewers.committed(step)

    def validated(self, record: Mapping[str, Any]) -> None:
        """Show the record of a validation dataset."""
        figures = {name: value for name, value in record.items() if not isinstance(value, str)}
        self._viewers.add(record["step"], _flat(figures), f"validation/{record['dataset']}")

    def show(self, folder: Path, description: Mapping[str, Any]) -> None:
        """Show the videos of a sampling, which are made from a checkpoint of its step."""
        videos = {
            str(index): Picture(folder / one["file"], one["caption"] or one["key"])
            for index, one in enumerate(description["samples"])
        }
        self._viewers.add(description["step"], videos, SAMPLES)
        self._viewers.committed(description["step"] + 1)


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
