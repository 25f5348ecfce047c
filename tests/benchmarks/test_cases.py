"""What the benchmarks of cases share."""

from __future__ import annotations

import importlib

import pytest

from videoar.benchmarks.cases import Options, figures
from videoar.benchmarks.floor import Peaks, Work
from videoar.benchmarks.measure import Cost
from videoar.benchmarks.run import OF_CASES
from videoar.cluster.ground.errors import InputError

CASES = {"toy": {"one small": 1, "two small": 2, "one large": 3}, "cpu": {}, "gpu": {}}


def test_patterns_choose_cases_in_their_order() -> None:
    """A shell pattern chooses a family of cases; without one, all run."""
    chosen = Options(size="toy", patterns=("* large", "one*")).chosen(CASES)
    assert list(chosen) == [("one small", 1), ("one large", 3)]
    assert len(list(Options(size="toy").chosen(CASES))) == 3


def test_a_pattern_without_a_case_is_refused() -> None:
    """A benchmark of nothing would report success."""
    with pytest.raises(InputError, match="use: 'one small', 'two small', 'one large'"):
        Options(size="toy", patterns=("three",)).chosen(CASES)


def test_figures_are_medians_with_their_spread_and_floor() -> None:
    """The floor of passes that follow each other is the sum of their floors, not the floor of their sum."""
    costs = [Cost(wall, wall, 2 * wall) for wall in (1.0, 2.0, 3.0, 4.0, 100.0)]
    found = figures(costs, [Work(100.0, 0.0), Work(0.0, 10.0)], Peaks(100.0, 10.0, "measured"))
    assert (found["wall_s"], found["wall_iqr_s"], found["process_s"]) == (3.0, 2.0, 6.0)
    assert (found["floor_s"], found["over_floor"]) == (2.0, 1.5)
    assert found["flops_per_s"] == 100.0 / 3.0


@pytest.mark.parametrize("name", sorted({*OF_CASES} - {"train", "size1"}))
def test_every_benchmark_of_cases_has_all_sizes(name: str) -> None:
    """`--size` is an option of all of them, and `scripts/on_gpu.sh --rehearse` needs the smallest."""
    cases = importlib.import_module(f"videoar.benchmarks.{name}").CASES
    assert cases.keys() == {"toy", "cpu", "gpu"}
    assert all(cases.values())
