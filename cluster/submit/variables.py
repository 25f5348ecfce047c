"""Environment variables of a job. Secrets are only named: no script, log or record contains them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from videoar.cluster.ground.credentials import MASK, is_secret_name, looks_secret, refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short
from videoar.cluster.ground.process import variable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIXED = re.compile(r"UID|EUID|PPID|BASHOPTS|SHELLOPTS|BASH_VERSINFO|SLURM_\w*")
"""What bash does not let a script set, and what Slurm sets."""
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable: its value is given, read from a file, or taken from the submitting shell (if both are None)."""

    name: str
    value: str | None = None
    file: str | None = None

    @staticmethod
    def of(word: str) -> Variable:
        """`NAME` of the submitting shell, `NAME=VALUE`, or `NAME=@FILE`, which the job reads when it starts."""
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            raise InputError(
                "env", short(repr(name)), "is not the name of a variable", "write NAME, NAME=VALUE or NAME=@FILE"
            )
        if equals and _FIXED.fullmatch(name):
            raise InputError("env", name, "is set by bash or Slurm itself", "leave it out")
        if not _LINE.fullmatch(value):
            raise InputError(
                "env", name, "has a value with a line break or another control character", "write NAME=@FILE"
            )
        if not equals:
            return Variable(name=name)
        if value == "@":
            raise InputError("env", word, "names no file", f"write {name}=@FILE")
        if value.startswith("@"):
            return Variable(name=name, file=value[1:])
        if is_secret_name(name) or looks_secret(value):
            raise InputError(
                "env",
                f"{name}={MASK}",
                "would be written into the script",
                f"export it and write {name}, or {name}=@FILE",
            )
        refuse_credentials("env", value)
        return Variable(name=name, value=value)

    @property
    def is_missing(self) -> bool:
        """Whether the variable should come from this shell, but is not set in it."""
        return self.value is None and self.file is None and variable(self.name) is None


def exported(given: Variable) -> str:
    """The line of a script that sets a variable from its file, or to its value."""
    if given.file is not None:
        return f"{given.name}=$(<{shlex.quote(given.file)}) || exit 1; export {given.name}"
    assert given.value is not None, "has neither"
    return f"export {given.name}={shlex.quote(given.value)}"


def value_here(given: Variable, of_file: str) -> str:
    """The value of a variable (that of the submitting shell if none is given), for a place that others can read.

    InputError for a secret; `of_file` says what to give instead.
    """
    if given.value is not None:
        return given.value
    if is_secret_name(given.name):
        problem = "is a secret of this shell, and would be written where others read it"
        raise InputError("env", given.name, problem, f"write {given.name}=@{of_file.removeprefix('@')}")
    if (value := variable(given.name)) is None:
        raise InputError("env", given.name, "is not set in this shell", f"export it, or write {given.name}=VALUE")
    return Variable.of(f"{given.name}={value}").value or ""
