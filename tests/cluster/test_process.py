from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from videoar.cluster.preemption import EXIT_PREEMPTED, Preemption
from videoar.cluster.process import PREEMPTED_MARKER, World, launch


def test_a_process_alone_is_the_first_of_one() -> None:
    """Without torchrun the trainer must not wait for others."""
    assert World.here() == World(rank=0, local_rank=0, world_size=1)
    assert World.here().is_first


def test_the_world_is_read_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank misread makes two processes write the same checkpoint."""
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert World.here() == World(rank=3, local_rank=1, world_size=4)
    assert not World.here().is_first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_handler_given_back(number: int) -> None:
    """A scheduler's signal must let the step finish; afterwards the process dies of it as it did before."""
    before = signal.getsignal(number)
    with Preemption() as preemption:
        assert not preemption.requested
        os.kill(os.getpid(), number)
        assert preemption.requested
    assert signal.getsignal(number) is before


@pytest.mark.slow
def test_a_worker_that_fails_makes_the_launcher_fail(tmp_path: Path) -> None:
    """torchrun's own code for a failed worker is 1, whatever the worker said; a stale marker must not turn it to 75."""
    (tmp_path / PREEMPTED_MARKER).touch()
    assert launch(["no-such-command"], 1, tmp_path) == 1
    assert EXIT_PREEMPTED == 75
