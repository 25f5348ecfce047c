"""The files of TensorBoard, read back by its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def figures(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every figure of one run of TensorBoard, by name."""
    found = _read(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def pictures(folder: Path) -> dict[str, list[Any]]:
    """Every picture of one run of TensorBoard, by name: step, height, width, encoded_image_string."""
    found = _read(folder)
    return {tag: found.Images(tag) for tag in found.Tags()["images"]}


def _read(folder: Path) -> Any:
    """With all events: by default it keeps a sample of them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
