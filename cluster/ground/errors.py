"""Errors that are one line to a person: what they wrote is wrong (exit code 2), or a store does not serve (1)."""

from __future__ import annotations


class InputError(ValueError):
    """The user's input is wrong. The message is one line: field, value, what is wrong with it, and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        """`problem` completes the sentence "field=value ..."; `remedy` is an imperative."""
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        super().__init__(f"{field}={value}: {problem}; {remedy}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str, str]]:
        """Survive the trip between processes (Ray and multiprocessing pickle exceptions)."""
        return type(self), (self.field, str(self.value), self.problem, self.remedy)


class Stopped(RuntimeError):
    """A run gave up by a rule of its own: a budget is spent. One line; the command line prints it and exits with 1."""


class CorruptShard(RuntimeError):
    """Bytes of a shard are not what was written. One line that names it; the command line exits with 1."""


class StoreError(OSError):
    """A disk or object store does not do what it should: full, unreachable, damaging what it is given.

    The message is one line that names the place and what to do; the command line prints it and exits with code 1.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = place, problem, remedy
        super().__init__(f"{place}: {problem}; {remedy}")

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, str, str]]:
        return type(self), (self.place, self.problem, self.remedy)
