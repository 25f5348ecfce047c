"""The sharded engine in one process, compared with the plain one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from videoar.benchmarks import size1
from videoar.benchmarks.cases import Options
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World

pytestmark = pytest.mark.slow


def compare(world: World, largest: float) -> list[dict[str, Any]]:
    """The rows of the smallest case."""
    size1.LARGEST_DIFFERENCE = largest
    return list(size1.rows(Options(size="toy", repeats=1, device=torch.device("cpu"))))


def test_one_process_trains_as_the_plain_engine_does() -> None:
    """Both engines give the same loss, over the collectives of the device."""
    ((plain, sharded),) = run_processes(1, compare, {"largest": size1.LARGEST_DIFFERENCE})
    assert (plain["subject"], sharded["subject"]) == ("plain", "sharded")
    assert sharded["collectives"] == "gloo"
    assert sharded["loss_difference"] < 1e-5
    assert plain["over_plain"] == 1.0


def test_another_loss_is_an_error() -> None:
    """Times of an engine that computes something else say nothing."""
    (rows,) = run_processes(1, compare, {"largest": -1.0})
    assert all("differ" in row["error"] for row in rows)
