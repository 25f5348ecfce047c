from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from videoar.cluster.ground.ending import Ending
from videoar.cluster.ground.preemption import Preempted


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


def test_a_second_signal_ends_at_once() -> None:
    """Cleaning up may hang, on a disk that does not answer."""
    code = """
import signal, time
from videoar.cluster.ground.ending import Ending
def command():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(600)
Ending().run(command)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 143
