from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from videoar.cluster.ground.processes.ending import Ending
from videoar.cluster.ground.processes.preemption import Preempted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_one_line(number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The shell's code for it, as if nobody had handled it; handlers are as before afterwards."""
    before, cleaned = signal.signal(number, signal.SIG_DFL), list[str]()

    def command() -> int:
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append("file")
        return 0

    try:
        assert Ending().run(command) == code
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert cleaned == ["file"]
    assert capsys.readouterr().err.startswith(f"ended by {number.name}; ")


def test_a_library_that_makes_something_else_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """An import that is interrupted says that a module is broken."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def command() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ImportError("partially initialized module") from error
        return 0

    try:
        assert Ending().run(command) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.count("\n") == 1


def test_other_ends_stay_as_they_are() -> None:
    """A run that has saved exits with 75, an error is an error, and a handler of the caller is not replaced."""
    assert Ending().run(lambda: 7) == 7

    def raises(error: BaseException) -> int:
        raise error

    for error in (Preempted("step 3"), ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            Ending().run(lambda error=error: raises(error))  # type: ignore[misc]


@pytest.mark.parametrize("work", ["with Preemption(60.0):\n        raise_signal(SIGTERM)", "raise_signal(SIGTERM)"])
def test_what_was_saved_is_75_whatever_comes_after(work: str) -> None:
    """A scheduler that sends a second signal, when the first machines have ended, must not make a failure of it.

    Without anything saved the same signals end the process as such.
    """
    code = f"""
import os, sys
from signal import SIGTERM, raise_signal
from videoar.cluster import entry
from videoar.cluster.ground.processes.preemption import Preemption
class Late:
    def __del__(self, end=os.kill, process=os.getpid(), number=SIGTERM):
        end(process, number)
def command(words):
    {work}
entry.find_command = command
late = Late()
sys.exit(entry.program())
"""
    saved = "Preemption(" in work
    assert subprocess.run([sys.executable, "-c", code, "train"], check=False).returncode == (75 if saved else -15)


def test_a_second_signal_ends_at_once() -> None:
    """Cleaning up may hang, on a disk that does not answer."""
    code = """
import signal, time
from videoar.cluster.ground.processes.ending import Ending
def command():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(600)
Ending().run(command)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 143
