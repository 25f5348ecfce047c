"""Interface of programs that show a run while it trains: figures of each step, pictures and videos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAIN, SAMPLES = "train", "samples"
"""Parts of a run: its steps, and what is shown at some of them. Validations are one part for each dataset."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that is shown: a picture (.png) or a video (.mp4)."""

    file: Path
    caption: str = ""


class Viewer(ABC):
    """A program that shows a run. A run that is resumed, or goes back to a checkpoint, gives some steps again."""

    @abstractmethod
    def add(self, step: int, row: Mapping[str, Any], part: str = TRAIN) -> None:
        """Show numbers, texts and `Picture`s by name, with the step and the part of the run that they are of."""

    @abstractmethod
    def committed(self, step: int) -> None:
        """The rows of the steps before `step` are final: a checkpoint holds these steps."""

    @abstractmethod
    def go_back(self, step: int) -> None:
        """The run goes back: the rows from this step on are given again."""

    @abstractmethod
    def close(self, kind: type[BaseException] | None) -> None:
        """The run ends here, with an exception of this kind if there is one."""
