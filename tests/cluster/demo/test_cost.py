"""What a piece of work costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from videoar.cluster.demo.cost import Cost, measured, tree_bytes

HOLDS_200_MB = "import sys; held = bytearray(b'x' * 200_000_000); print(flush=True); sys.stdin.read()"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not tell")
def test_memory_of_children_counts() -> None:
    """Clips are tokenized in other processes: their memory is the step's."""
    before = tree_bytes()
    child = subprocess.Popen([sys.executable, "-c", HOLDS_200_MB], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin
    assert child.stdout
    with child.stdin, child.stdout:
        child.stdout.readline()
        after = tree_bytes()
    child.wait()
    assert before
    assert after
    assert after - before > 150_000_000


def test_a_failed_step_has_a_cost_too() -> None:
    """The time until an interruption was spent all the same."""
    costs: list[Cost] = []

    def work() -> None:
        with measured("step", costs.append):
            time.sleep(0.05)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        work()
    assert [cost.name for cost in costs] == ["step"]
    assert costs[0].seconds >= 0.05


def test_an_interrupted_step_adds_up() -> None:
    """Seconds add; of the memory the highest counts; what was not measured does not hide what was."""
    first = Cost(name="train", seconds=2.0, peak_bytes=None)
    second = Cost(name="train", seconds=3.0, peak_bytes=7)
    assert first + second == second + first == Cost(name="train", seconds=5.0, peak_bytes=7)
