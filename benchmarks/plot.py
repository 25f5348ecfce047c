"""A chart of the cases of a benchmark: how many times the floor each takes. It needs matplotlib."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from videoar.benchmarks.cases import Row
from videoar.benchmarks.table import label
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import written_aside

ROW_INCHES = 0.25
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
    """A bar for each row that has figures; the line at 1 is the floor."""
    from matplotlib.figure import Figure  # an optional dependency; without pyplot, which would choose a display

    shown = [row for row in rows if "over_floor" in row]
    figure = Figure(figsize=(9, 1.2 + ROW_INCHES * len(shown)), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="time / floor (1 = floor), log scale", xscale="log")
    axes.barh([label(row) for row in shown], [row["over_floor"] for row in shown], height=0.6)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1.0, color="black", linewidth=1)
    with written_aside(path) as aside:
        figure.savefig(aside, format=path.suffix[1:])
