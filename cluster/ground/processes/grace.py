"""How long a process may save after a signal before its launcher kills it."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from videoar.cluster.ground.process import variable

_AGENT_S = 30.0
"""Seconds after its signal in which torchrun's agent kills its workers, unless another time was set."""

_BEFORE_KILL_S = 3.0
"""Seconds that a process needs to record that it exits without saving."""


def grace_s(wanted_s: float) -> float:
    """Seconds after a signal in which this process should have saved: `wanted_s`, or less under torchrun's agent."""
    if variable("TORCHELASTIC_RUN_ID") is None:
        return wanted_s
    told = _told_to_agent() or variable("TORCH_ELASTIC_SHUTDOWN_TIMEOUT") or ""
    agent_s = float(told) if told.isdigit() else _AGENT_S
    return min(wanted_s, max(1.0, agent_s - _BEFORE_KILL_S))


def _told_to_agent() -> str:
    """torchrun's --shutdown-timeout, which it does not pass on; empty if it has none or cannot be looked at."""
    with suppress(OSError):
        command = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace").split("\0")
        for word, following in pairwise([*command, ""]):
            name, _, value = word.replace("_", "-").partition("=")
            if name == "--shutdown-timeout":
                return value or following
    return ""
