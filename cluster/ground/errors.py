"""Errors that are shown as one line: the input is wrong (exit code 2), or a run or store has failed (1)."""

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
        """Keep the fields when the error is pickled (Ray and multiprocessing pickle exceptions)."""
        return type(self), (self.field, str(self.value), self.problem, self.remedy)


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
