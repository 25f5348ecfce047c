"""Every test process computes on one thread: two that spin on a shared core are slower than one."""

from __future__ import annotations

import os

import pytest
import torch

from videoar.cluster.entry import main


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Ours, and that of every process a test starts."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def debug_data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shards of the debug recipe, prepared once by the command that people run."""
    output = tmp_path_factory.mktemp("debug-data")
    assert main(["data", "run", "debug", "--output", str(output)]) == 0
    return str(output)
