from __future__ import annotations

import pytest

from videoar.cluster.demo.report.charts import axis


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1000.0], ["0", "200", "400", "600", "800", "1000"]),
        ([0.61, 0.69], ["0.60", "0.62", "0.64", "0.66", "0.68", "0.70"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    """An axis reads 0.60, 0.62, ..., and covers its values."""
    found = axis("x", values)
    assert [name for _, name in found.ticks] == ticks
    assert found.low <= min(values)
    assert found.high >= max(values)


def test_percent_ticks_and_equal_values() -> None:
    """A share is shown in percent; a constant curve still has an axis."""
    assert [name for _, name in axis("x", [0.5, 0.9], percent=True).ticks] == ["50", "60", "70", "80", "90"]
    assert [name for _, name in axis("x", [6.0, 9.0], count=6, whole=True).ticks] == ["6", "7", "8", "9"]
    assert axis("x", [3.0, 3.0]).low < 3 < axis("x", [3.0, 3.0]).high
