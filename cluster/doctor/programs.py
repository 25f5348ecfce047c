"""What other programs of the machine answer, whatever they print and however long they take."""

from __future__ import annotations

import subprocess


def answer_of(*command: str, limit_s: float) -> subprocess.CompletedProcess[str]:
    """A program's exit code and output. That it cannot be run, or does not end in time, is exit code 1 and a reason.

    A broken program may print anything: what is no text becomes a question mark.
    """
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {limit_s:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", f"cannot be run ({error.strerror})")
    return subprocess.CompletedProcess(command, done.returncode, _text(done.stdout), _text(done.stderr))


def _text(said: bytes) -> str:
    """The text without what a terminal would obey."""
    letters = said.decode(errors="replace")
    return "".join(letter if letter.isprintable() or letter in "\t\n" else "?" for letter in letters).replace(
        "\ufffd", "?"
    )
