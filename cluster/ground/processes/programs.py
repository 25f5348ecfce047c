"""Runs other programs of the machine, whatever they print and however long they take."""

from __future__ import annotations

import subprocess
from pathlib import Path


def run_program(
    *command: str, limit_s: float, folder: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """A program's exit code and output. subprocess.TimeoutExpired if it does not end in time, OSError if it cannot run.

    A broken program may print anything: bytes that are not text become question marks.
    """
    done = subprocess.run(command, cwd=folder, input=stdin.encode(), capture_output=True, timeout=limit_s, check=False)
    return subprocess.CompletedProcess(command, done.returncode, _text(done.stdout), _text(done.stderr))


def _text(said: bytes) -> str:
    """The text without characters that control a terminal."""
    letters = said.decode(errors="replace")
    return "".join(letter if letter.isprintable() or letter in "\t\n" else "?" for letter in letters).replace(
        "\ufffd", "?"
    )
