from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from videoar.cluster.ground.processes import preemption as module
from videoar.cluster.ground.processes.preemption import (
    EXIT_PREEMPTED,
    SIGNALS,
    Preempted,
    Preemption,
    signals_held,
    temporary_folder,
)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Signals are heard, even where these tests run under nohup or behind a shell that ignores Ctrl-C for them."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_handler_given_back(number: int) -> None:
    """A scheduler's signal must let the step finish; afterwards the process dies of it as it did before."""
    before = signal.getsignal(number)
    with Preemption(within_s=60.0) as preemption, preemption.deferred():
        assert not preemption.requested
        os.kill(os.getpid(), number)
        assert preemption.requested
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_outside_the_loop_ends_the_work_at_once(number: int) -> None:
    """While data is prepared there is no step to finish: waiting for its end would eat the notice."""
    with Preemption(within_s=60.0), pytest.raises(Preempted):
        signal.raise_signal(number)


def test_a_handler_of_a_library_does_not_stay() -> None:
    """Ray installed its own while the data was prepared: the run died of the next SIGTERM, unsaved."""
    with Preemption(within_s=60.0) as preemption:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with preemption.deferred():
            signal.raise_signal(signal.SIGTERM)
            assert preemption.requested


@pytest.mark.parametrize("theirs", [KeyboardInterrupt, SystemExit])
def test_a_library_that_raises_its_own_exception_is_preempted_all_the_same(theirs: type[BaseException]) -> None:
    """Ray raises a new KeyboardInterrupt: the job would count as failed."""
    with pytest.raises(Preempted), Preemption(within_s=60.0):  # noqa: PT012
        try:
            signal.raise_signal(signal.SIGTERM)
        except Preempted:
            raise theirs from None


def test_an_ignored_signal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nohup videoar train` must outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Preemption(within_s=60.0) as preemption:
            signal.raise_signal(signal.SIGHUP)
            assert not preemption.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_is_held_comes_later() -> None:
    """Ray crashes when its start is interrupted, and leaves processes behind."""
    passed = False
    with Preemption(within_s=60.0), pytest.raises(Preempted), signals_held():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        passed = True
    assert passed


@pytest.mark.parametrize("deferred", [False, True])
def test_a_library_that_does_not_return_delays_no_exit(monkeypatch: pytest.MonkeyPatch, deferred: bool) -> None:
    """A process that waits inside gloo for one that never comes was deaf to SIGTERM: Python's handlers cannot run."""
    left, codes = threading.Event(), list[int]()
    monkeypatch.setattr(module, "_PROMPT_S", 0.01)
    monkeypatch.setattr(os, "_exit", lambda code: (codes.append(code), left.set()))
    with pytest.raises(Preempted), Preemption(within_s=0.01) as preemption:  # noqa: PT012
        preemption._deferred = deferred
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # another thread gets it, so this one sleeps on
        try:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()  # when this thread sleeps
            assert left.wait(60)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if deferred:
            raise Preempted
    assert codes[0] == EXIT_PREEMPTED


def test_work_in_a_temporary_folder_is_removed_and_no_resume_is_promised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without this, gigabytes stay below /tmp, and a person waits for a resume that begins anew."""
    monkeypatch.setattr(os, "_exit", lambda code: None)
    monkeypatch.setattr(module, "_TWICE_S", 0.0)
    with temporary_folder("check-") as folder, Preemption(within_s=60.0) as preemption, preemption.deferred():
        (folder / "run").mkdir()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert not folder.exists()
    assert caplog.messages == ["interrupted again; nothing is kept"]
    with Preemption(within_s=60.0) as preemption, preemption.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert caplog.messages[1] == "interrupted again; the same command resumes from the newest checkpoint"


def test_a_second_interrupt_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who presses Ctrl-C again does not want to wait for the save."""
    codes = list[int]()
    monkeypatch.setattr(os, "_exit", codes.append)
    with Preemption(within_s=60.0) as preemption, preemption.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same key, reported by a launcher too
        assert codes == []
        monkeypatch.setattr(module, "_TWICE_S", 0.0)
        signal.raise_signal(signal.SIGINT)
    assert codes == [EXIT_PREEMPTED]
