"""Rows for Weights & Biases that are held back until a checkpoint makes them final."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class HeldRows:
    """The rows of the steps since the last checkpoint.

    A run that is stopped now trains these steps again when it resumes. `wandb sync` sends the files from before and
    after, so a row that is written at once would appear twice.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[int, Mapping[str, Any]]] = []

    def add(self, step: int, row: Mapping[str, Any]) -> None:
        """Hold the row of a step. Rows of one step stay in order; a validation comes before the record of the step
        that it follows, which is read one step late."""
        self._rows.append((step, row))
        self._rows.sort(key=lambda held: held[0])

    def drop(self, step: int) -> None:
        """Forget the rows from a step on: the run has gone back to it."""
        self._rows = [(number, row) for number, row in self._rows if number < step]

    def take(self, step: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Give out the rows before a step, in order, and keep the others."""
        ready = [(number, row) for number, row in self._rows if number < step]
        self._rows = self._rows[len(ready) :]
        yield from ready
