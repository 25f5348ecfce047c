"""The one error for what a person wrote: it names field, value and remedy, and the command line exits with 2."""

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
