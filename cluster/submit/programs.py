"""Runs an engine's own programs and reads what they answer."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.cluster.ground.processes.programs import run_program

_PATIENCE_S = 120.0
_PREFIX = re.compile(r"^\w+: (error: )?")
_LOG = re.compile(r"[EFIW]\d{4} \d\d:\d\d:\d\d\.")
"""Lines in which kubectl logs an error for developers; its message to the user follows and says the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program wrote and returned."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The messages as one line, without the program's name in front of each, or kubectl's log of itself."""
        lines = [line for whole in (self.err or self.out).splitlines() if (line := _PREFIX.sub("", whole).strip())]
        return "; ".join([line for line in lines if not _LOG.match(line)] or lines)


def is_there(program: str) -> bool:
    """Whether a program is on PATH."""
    return shutil.which(program) is not None


def ask(program: str, *words: str, folder: Path | None = None, stdin: str = "") -> Answer:
    """Run a program. InputError if it is not on PATH, Stopped if it does not answer."""
    if not is_there(program):
        raise InputError("PATH", program, "is not installed here", f"run this where `{program}` is: a login node")
    try:
        ran = run_program(program, *words, limit_s=_PATIENCE_S, folder=folder, stdin=stdin)
    except subprocess.TimeoutExpired as error:
        raise Stopped(f"{program} has not answered for {_PATIENCE_S:.0f} s; try again") from error
    return Answer(ran.returncode, ran.stdout, ran.stderr)
