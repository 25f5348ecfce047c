"""Errors that are shown as one line: the input is wrong (exit code 2), or a run or store has failed (1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class InputError(ValueError):
    """The user's input is wrong. The message is one line: field, value, what is wrong with it, and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        """`problem` completes the sentence "field=value ..."; `remedy` is an imperative.

        If `value` is None, the message names only the field, because the user has typed no value.
        """
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        given = field if value is None else f"{field}={value}"
        super().__init__(f"{given}: {problem}; {remedy}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str | None, str, str]]:
        """Keep the fields when the error is pickled (Ray and multiprocessing pickle exceptions)."""
        value = None if self.value is None else str(self.value)
        return type(self), (self.field, value, self.problem, self.remedy)


class InputErrors(InputError):
    """Several inputs are wrong. The command line prints a line for each; fields are those of the first."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.field, first.value, first.problem, first.remedy)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __reduce__(self) -> Any:
        return type(self), (self.errors,)


def raise_all(*checks: Callable[[], Any]) -> list[Any]:
    """The results of checks that do not depend on each other. All are made: one error is raised for all that fail.

    The same error of two checks is reported once.
    """
    results: list[Any] = []
    errors: list[InputError] = []
    for check in checks:
        try:
            results.append(check())
        except InputError as error:
            errors += error.errors if isinstance(error, InputErrors) else [error]
    if errors:
        different = list({str(error): error for error in errors}.values())
        raise different[0] if len(different) == 1 else InputErrors(different)
    return results


class Stopped(RuntimeError):
    """A run stopped by its own rule, such as a spent budget. The command line prints one line and exits with 1."""


class CorruptShard(RuntimeError):
    """The bytes of a shard are not those that were written. The message names it; the command line exits with 1."""


class StoreError(OSError):
    """A disk or object store fails: it is full or unreachable, or returns other bytes than it was given.

    The message is one line that names the place and what to do; the command line prints it and exits with code 1.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = place, problem, remedy
        super().__init__(f"{place}: {problem}; {remedy}")

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, str, str]]:
        return type(self), (self.place, self.problem, self.remedy)
