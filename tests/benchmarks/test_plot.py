"""The chart of a benchmark."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from videoar.benchmarks.plot import check_plot, plot
from videoar.cluster.ground.errors import InputError

ROWS = [{"case": "one", "over_floor": 2.0}, {"case": "two", "unavailable": "no"}, {"case": "three", "over_floor": 30.0}]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "begin"), [("chart.png", b"\x89PNG"), ("chart.svg", b"<?xml")])
def test_a_chart_is_a_file_of_its_kind(name: str, begin: bytes, tmp_path: Path) -> None:
    """Rows without figures have no bar."""
    pytest.importorskip("matplotlib")
    check_plot(tmp_path / name)
    plot(tmp_path / name, "title", ROWS)
    assert (tmp_path / name).read_bytes().startswith(begin)


@pytest.mark.slow
def test_a_throughput_is_a_curve_over_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it bends is the batch to use; bars do not show that."""
    figures = pytest.importorskip("matplotlib.figure")
    drawn: list[Any] = []

    def savefig(figure: Any, place: Path, **_: str) -> None:
        drawn.append(figure.axes)
        place.touch()

    monkeypatch.setattr(figures.Figure, "savefig", savefig)
    curve = [
        {"case": "c", "swept": "batch", "batch": 2**n, "clips_per_s": 3.0 * n + 1, "over_floor": 1.0} for n in range(4)
    ]
    plot(tmp_path / "chart.png", "title", [*ROWS, *curve])
    plot(tmp_path / "curve.png", "title", curve)
    (bars, below), (alone,) = drawn
    assert len(bars.patches) == 2
    for axes in (below, alone):
        (line,) = axes.lines
        assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 2, 4, 8], [1.0, 4.0, 7.0, 10.0])


def test_another_kind_of_file_is_refused() -> None:
    """Before minutes of measuring, not after them."""
    with pytest.raises(InputError, match=r"plot=chart\.jpg: is neither a PNG nor an SVG"):
        check_plot(Path("chart.jpg"))


def test_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib is optional."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'videoar\[plot\]'"):
        check_plot(Path("chart.png"))
