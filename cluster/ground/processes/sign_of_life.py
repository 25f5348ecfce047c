"""One process works alone. The others wait as long as it shows a sign of life: a file that it keeps refreshing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from videoar.cluster.ground.errors import Stopped

_REFRESH_S = 5.0
_POLL_S = 0.5

log = logging.getLogger(__name__)


@contextmanager
def alive(sign: Path) -> Iterator[None]:
    """Refresh a file inside the block; it is removed at the end."""
    sign.parent.mkdir(parents=True, exist_ok=True)
    over = threading.Event()

    def refresh() -> None:
        while not over.is_set():
            with suppress(OSError):  # a full disk must not end the work here
                sign.touch()
            over.wait(_REFRESH_S)

    thread = threading.Thread(target=refresh, name="sign of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            sign.unlink()


def wait_for(ready: Path, sign: Path, work: str, limit_s: float) -> None:
    """Wait until `ready` exists; Stopped if the process at work shows no sign of life for `limit_s` seconds."""
    seen, moved, told = 0.0, time.monotonic(), False
    while not ready.exists():
        if (now := _refreshed(sign)) != seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > limit_s:
            raise Stopped(f"process 0, which {work}, has shown no sign of life for {limit_s:g} s; see what it reported")
        if not told:
            log.info("waiting for process 0, which %s", work)
            told = True
        time.sleep(_POLL_S)


def _refreshed(sign: Path) -> float:
    """When the file was refreshed, by its own clock; 0 if it does not exist."""
    with suppress(OSError):
        return sign.stat().st_mtime
    return 0.0
