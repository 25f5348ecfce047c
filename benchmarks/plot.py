"""A chart of a benchmark: the time of each case as a multiple of its floor, and clips per second over the batch.

It needs matplotlib.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videoar.benchmarks.cases import Row
from videoar.benchmarks.table import label
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_INCHES = 0.25
CURVE_INCHES = 3.5
SUFFIXES = (".png", ".svg")


def check_plot(path: Path) -> None:
    """InputError before anything is measured if the chart could not be drawn."""
    if path.suffix not in SUFFIXES:
        raise InputError("plot", path, "is neither a PNG nor an SVG", "end the name with .png or .svg")
    if not path.parent.is_dir():
        raise InputError("plot", path, "is in a folder that does not exist", "make the folder")
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise InputError("plot", path, "needs matplotlib", "run `pip install 'videoar[plot]'`") from error


def plot(path: Path, title: str, rows: Sequence[Row]) -> None:
    """A bar for each row that has figures; the line at 1 is the floor. Below them, a curve for each throughput."""
    from matplotlib.figure import Figure  # an optional dependency; without pyplot, which would choose a display

    curves = [row for row in rows if "swept" in row]
    bars = [row for row in rows if "over_floor" in row and "swept" not in row]
    heights = [1.2 + ROW_INCHES * len(bars)] * bool(bars or not curves) + [CURVE_INCHES] * bool(curves)
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    figure.suptitle(title)
    places = list(figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0])
    if curves:
        _draw_curves(places.pop(), curves)
    if places:
        _draw_bars(places.pop(), bars)
    with written_aside(path) as aside:
        figure.savefig(aside, format=path.suffix[1:])


def _draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set(xlabel="time / floor (1 = floor), log scale", xscale="log")
    axes.barh([label(row) for row in rows], [row["over_floor"] for row in rows], height=0.6)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1.0, color="black", linewidth=1)


def _draw_curves(axes: Axes, rows: Sequence[Row]) -> None:
    """Clips per second over the batch, a line for each case."""
    axes.set(xlabel="batch", ylabel="clips per second")
    axes.set_xscale("log", base=2)
    for case in dict.fromkeys(row["case"] for row in rows):
        of_case = [row for row in rows if row["case"] == case]
        axes.plot([row["batch"] for row in of_case], [row["clips_per_s"] for row in of_case], marker="o", label=case)
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({row["batch"] for row in rows}))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend()
