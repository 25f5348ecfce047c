from __future__ import annotations

import os
import signal

import pytest

from videoar.cluster.ground.preemption import Preempted, Preemption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_handler_given_back(number: int) -> None:
    """A scheduler's signal must let the step finish; afterwards the process dies of it as it did before."""
    before = signal.getsignal(number)
    with Preemption(within_s=60.0) as preemption, preemption.deferred():
        assert not preemption.requested
        os.kill(os.getpid(), number)
        assert preemption.requested
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_outside_the_loop_ends_the_work_at_once(number: int) -> None:
    """While data is prepared there is no step to finish: waiting for its end would eat the notice."""
    with Preemption(within_s=60.0), pytest.raises(Preempted):
        signal.raise_signal(number)
