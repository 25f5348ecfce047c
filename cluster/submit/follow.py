"""Reads files that grow, until the job that writes them has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 1.0
_CHUNK = 1 << 20


def follow(paths: Callable[[], Sequence[Path]], has_ended: Callable[[], bool] | None) -> Iterator[str]:
    """Pieces of the files as they come. Without `has_ended`, what there is now. Files may appear later."""
    read: dict[Path, int] = {}
    while True:
        over = has_ended is None or has_ended()  # checked before reading, so that no text from before the end is missed
        for path in paths():
            yield from _news(path, read)
        if over:
            return
        time.sleep(POLL_S)


def _news(path: Path, read: dict[Path, int]) -> Iterator[str]:
    """What was added to a file since the last call."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(read.get(path, 0))
        while chunk := file.read(_CHUNK):
            read[path] = file.tell()
            yield chunk.decode(errors="replace")
