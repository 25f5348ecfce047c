"""The time that a job may take, as people write it."""

from __future__ import annotations

import re

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short

_WITH_UNIT = re.compile(r"(\d{1,6})\s*([mhd])")
_CLOCK = re.compile(r"(?:(\d{1,4})-)?(\d{1,5}):([0-5]\d)(?::([0-5]\d))?")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> int:
    """Seconds of `90m`, `12h`, `2d`, `HH:MM`, `HH:MM:SS` or `D-HH:MM:SS`; InputError for anything else."""
    if found := _WITH_UNIT.fullmatch(text.strip()):
        seconds = int(found[1]) * _SECONDS[found[2]]
    elif found := _CLOCK.fullmatch(text.strip()):
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = days * 86400 + hours * 3600 + minutes * 60 + rest
    else:
        raise InputError("time", short(repr(text)), "is not a time", "write 90m, 12h, 2d, HH:MM:SS or D-HH:MM:SS")
    if not seconds:
        raise InputError("time", text, "is zero", "give the time that the job may take")
    return seconds
