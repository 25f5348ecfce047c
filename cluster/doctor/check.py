"""What a check is, and how it is run: within a time limit, and never with a traceback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from videoar.cluster.ground.finding import Finding

Group = Literal["machine", "attention", "engines", "data", "clients"]
"""Who needs the checks: every job, training, training in several processes, preparing data, and submitting jobs."""

ALL: frozenset[Group] = frozenset({"machine", "attention", "engines", "data", "clients"})
LIMIT_S = 120.0
"""Seconds after which a check has failed: a store or a GPU that does not answer must not hold up the report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is to be checked."""

    url: str = ""
    """Folder or URL of shards or checkpoints; nothing is written anywhere if it is empty."""
    gpus: int = 0
    """GPUs that this machine must show; 0 if that is not known."""
    folder: Path = Path()
    """Folder on the disk that must have space."""
    groups: frozenset[Group] = ALL
    extras_needed: bool = True
    """Whether a library of an extra that is not installed is a failure, as in a job that needs it, or a remark."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    group: Group
    make: Callable[[], Finding]
    limit_s: float = LIMIT_S


def made(check: Check) -> Finding:
    """The finding of a check, under its name. A check that raises an exception or does not end is a failure."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.append(check.make())
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            found.append(failed(check.name, f"the check ended with {said}", "look at this part of the machine"))

    # A daemon: a call that never returns must not keep the process from ending either.
    thread = threading.Thread(target=run, name=f"doctor {check.name}", daemon=True)
    thread.start()
    thread.join(check.limit_s)
    if not found:
        return failed(
            check.name, f"no answer within {check.limit_s:g} s", "leave this machine out, and look at its log"
        )
    return replace(found[0], name=check.name)


def ok(name: str, found: str, **figures: object) -> Finding:
    return Finding(name=name, state="ok", found=found, figures=figures)


def warned(name: str, found: str, remedy: str, **figures: object) -> Finding:
    return Finding(name=name, state="warn", found=found, remedy=remedy, figures=figures)


def failed(name: str, found: str, remedy: str, **figures: object) -> Finding:
    return Finding(name=name, state="fail", found=found, remedy=remedy, figures=figures)
