"""What other programs of the machine answer."""

from __future__ import annotations

import subprocess

from videoar.cluster.ground.processes.programs import run_program


def answer_of(*command: str, limit_s: float) -> subprocess.CompletedProcess[str]:
    """A program's exit code and output. If it cannot be run, or does not end in time: exit code 1 and the reason."""
    try:
        return run_program(*command, limit_s=limit_s)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {limit_s:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", f"cannot be run ({error.strerror})")
