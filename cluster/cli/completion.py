"""Scripts for shells that complete commands, options and their choices, made by tyro from the options' dataclasses."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from videoar.cluster.cli.arguments import CONFIG, NOT_GIVEN
from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.ground.errors import InputError

SHELLS = ("bash", "zsh", "fish")


def completion(words: Sequence[str]) -> str:
    """The script for the shell that the words after --print-completion name."""
    shell = " ".join(words) or "''"
    if shell not in SHELLS:
        raise InputError("--print-completion", shell, "is not a shell", f"use one of: {', '.join(SHELLS)}")
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
        arguments = ["--tyro-print-completion", shell]
        tyro.cli(_all_commands(), args=arguments, prog="videoar", config=CONFIG, registry=NOT_GIVEN)
    # The table of options is Python in one line. A description of several lines would be read as several completions.
    return re.sub(r"^COMPLETION_SPEC = .*$", lambda line: re.sub(r"\\+n", " ", line[0]), written.getvalue(), flags=re.M)


def _all_commands() -> Any:
    """Every command as one choice of tyro's; those of a group (`data run`) are a choice within it."""
    groups: dict[str, dict[str, type]] = {}
    for name, command in COMMANDS.items():
        first, _, second = name.partition(" ")
        groups.setdefault(first, {})[second] = command.options
    choices = []
    for first, found in groups.items():
        inner = [Annotated[kind, tyro.conf.subcommand(name, prefix_name=False)] for name, kind in found.items() if name]
        kind = found[""] if "" in found else Union[tuple(inner)]  # noqa: UP007  # the parts are not known before
        choices.append(Annotated[kind, tyro.conf.subcommand(first)])
    return Union[tuple(choices)]  # noqa: UP007
