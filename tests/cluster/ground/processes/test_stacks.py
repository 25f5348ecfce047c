from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from videoar.cluster.ground.processes.stacks import StackFile, state_of, where


def test_the_innermost_calls_of_the_main_thread(tmp_path: Path) -> None:
    """A message has room for three of a hundred lines."""
    stacks = StackFile(tmp_path / "stack")
    stacks.open()
    begun = time.time() - 1
    stacks.write()
    stacks.write()  # the newer one replaces it
    assert stacks.path.read_text().count("in test_the_innermost_calls_of_the_main_thread") == 1
    stacks.close()
    first, *_ = where(stacks.path, begun).split(" < ")
    assert first.startswith("stacks.py:")
    assert first.endswith(" write")
    assert stacks.path.exists()


def test_stacks_of_an_earlier_run_say_nothing(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    stack.write_text('Thread 1 (most recent call first):\n  File "/a/b.py", line 3 in read\n')
    assert where(stack, 0.0) == "b.py:3 read"
    assert where(stack, time.time() + 60) == where(tmp_path / "none", 0.0) == ""


def test_what_the_system_says() -> None:
    """A process that was stopped writes nothing any more."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert state_of(process.pid) == "T (stopped)"
    finally:
        process.kill()
        process.wait()
    assert state_of(process.pid) == ""
