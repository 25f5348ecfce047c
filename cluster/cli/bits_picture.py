"""Heat maps of guessed bits: one cell for each latent frame and scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videoar.cluster.ground.files import written_aside

_CHANCE_NATS = float(np.log(2))
_CELL_INCHES = 0.55
_MOST_NAMED = 16
"""Rows or columns up to which each has its name, and each cell its number."""


def draw_bits(path: Path, report: dict[str, Any], scales: Sequence[str]) -> None:
    """Write the picture: accuracy on the left, cross-entropy on the right; white is chance in both.

    `report` is that of `BitReport.to_dict`, `scales` are the names of the grids, from coarse to fine.
    """
    from matplotlib.figure import Figure  # an optional dependency; without pyplot, which would choose a display

    right, loss = (np.array(report[name]["value"]) for name in ("accuracy", "cross_entropy"))
    frames = min(len(right), _MOST_NAMED)
    figure = Figure(figsize=(2 * (1 + _CELL_INCHES * len(scales)), 1.5 + _CELL_INCHES * frames), layout="constrained")
    both = figure.subplots(1, 2)
    _draw(both[0], 100 * right, scales, "bits guessed right, %", (50.0, 100.0), "Blues", "{:.0f}")
    _draw(both[1], loss, scales, "cross-entropy, nats a bit", (0.0, _CHANCE_NATS), "Blues_r", "{:.2f}")
    with written_aside(path) as aside:
        figure.savefig(aside, format=path.suffix[1:])


def _draw(
    axes: Any, values: np.ndarray, scales: Sequence[str], title: str, ends: tuple[float, float], hue: str, form: str
) -> None:
    low, high = ends
    axes.imshow(values, cmap=hue, vmin=low, vmax=high, aspect="auto")
    axes.set(title=title, xlabel="scale", ylabel="latent frame")
    axes.set_xticks(range(len(scales)), scales, rotation=45)
    if len(values) > _MOST_NAMED:
        return
    axes.set_yticks(range(len(values)), range(1, 1 + len(values)))
    share = (values - low) / (high - low)
    darkness = 1 - share if hue.endswith("_r") else share
    for frame, scale in np.ndindex(values.shape):
        colour = "white" if darkness[frame, scale] > 0.5 else "black"
        axes.text(scale, frame, form.format(values[frame, scale]), ha="center", va="center", color=colour, fontsize=8)
