"""How much commands write to stderr in addition to errors: `--log-level LEVEL` or `--quiet`, anywhere in the line."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import variable

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
"""`info` shows the messages of commands; `warning` and above show no progress; `debug` adds what libraries log."""

_NOISY = ("botocore", "aiobotocore", "megatron", "torch._subclasses")
"""Libraries that log what they found at every start, and torch also at the end."""

_VARIABLE = "VIDEOAR_LOG_LEVEL"
_OURS = logging.getLogger("videoar")


def take_log_level(words: Sequence[str]) -> list[str]:
    """Set the level that the words ask for, or the one of the process that started this one; the other words."""
    level, others, rest = variable(_VARIABLE) or "info", [], iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if word == "--quiet":
            level = "warning"
        elif option == "--log-level":
            level = value if equals else next(rest, "''")
        else:
            others.append(word)
    if level not in LEVELS:
        raise InputError("log-level", level, "is not a level", f"use one of: {', '.join(LEVELS)}")
    _set(level)
    return others


def _set(level: str) -> None:
    """Set the level of our logger only if it is not the default, so that a program that calls a command keeps its
    own."""
    _OURS.setLevel(logging.NOTSET if level == "info" else LEVELS[level])
    for library in _NOISY:
        logging.getLogger(library).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)


def shows_progress() -> bool:
    """Whether lines about progress are wanted."""
    return _OURS.level <= logging.INFO


def level_for_children() -> dict[str, str]:
    """The level for the environment of processes that this one starts; empty if it is the default."""
    name = next((name for name, level in LEVELS.items() if _OURS.level == level), None)
    return {} if name is None else {_VARIABLE: name}
