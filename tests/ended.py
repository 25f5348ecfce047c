"""SIGTERM at a chosen moment in a command that runs in this process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def signalled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with SIGTERM as it has done its work."""

    def wrapped(*words: Any, **options: Any) -> Any:
        result = function(*words, **options)
        signal.raise_signal(signal.SIGTERM)
        return result

    return wrapped
