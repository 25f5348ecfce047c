"""The decoder's own process: opens untrusted files under limits and returns pixels.

It reads one JSON request per line and answers with messages: length, JSON, then pixels. It imports neither torch nor
anything that could reach a network, and opens local files only, with demuxers that read a single file. The kernel kills
it when it exceeds its memory or CPU time; its owner kills it when it exceeds its wall time.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import av

from videoar.data_pipeline.decoding.sandbox.cutting import cut_clips
from videoar.data_pipeline.decoding.sandbox.film import RefusedSource, open_film
from videoar.data_pipeline.decoding.sandbox.probe import probe

LENGTH = struct.Struct("<I")
"""Prefix of each message: the length of its JSON in bytes."""
WITH_ONE_MESSAGE = ("probe", "scan")
"""Requests that one message answers; the messages of others end with `done`."""

Answer = tuple[dict[str, Any], memoryview | None]
"""A message, and the pixels that follow it."""


def main() -> None:
    """Serve requests until the owner closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # for the owner only, which may have clips to finish before it exits
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # output that a library prints must not mix with the messages
    av.logging.set_level(av.logging.PANIC)
    threading.Thread(target=_exit_with_owner, args=(os.getppid(),), daemon=True).start()
    _limit_memory_and_files(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _limit_cpu(request["cpu_s"])
        try:
            for message, pixels in _answers(request):
                _send(out, message, pixels)
            if request["kind"] not in WITH_ONE_MESSAGE:
                _send(out, {"kind": "done"})
        except RefusedSource as error:
            _send(out, {"kind": "error", "reason": str(error)[:300]})
        except (av.error.FFmpegError, ValueError, IndexError, OSError, MemoryError) as error:
            _send(out, {"kind": "error", "reason": f"{type(error).__name__}: {error}".strip()[:300]})


def _exit_with_owner(owner: int) -> None:
    """Exit when the owner has died: a decoder that hangs in a file would not notice that its pipe is closed."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(1)


def _limit_memory_and_files(memory_bytes: int) -> None:
    """At most this address space, no core dump, and no byte written to a file."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_cpu(seconds: int) -> None:
    """CPU time for the next request, on top of what was used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _answers(request: dict[str, Any]) -> Iterator[Answer]:
    """The messages that answer a request, each as soon as it is known."""
    if request["kind"] == "cut":
        for clip, frames in cut_clips(request):
            if frames is None:
                yield {"kind": "damaged", "clip": clip}, None
            else:
                yield {"kind": "clip", "clip": clip}, frames.data
        return
    with open_film(request) as (container, stream):
        if request["kind"] == "probe":
            found = probe(container, stream, request)
        else:
            # Imported here: most decoders never scan.
            from videoar.data_pipeline.decoding.sandbox.scanner import scan

            found = scan(container, stream, request)
    yield {"kind": request["kind"], **found}, None  # last: the owner expects no error after it


def _send(out: BinaryIO, message: dict[str, Any], pixels: memoryview | None = None) -> None:
    head = json.dumps({**message, "size_bytes": pixels.nbytes if pixels is not None else 0}).encode()
    out.write(LENGTH.pack(len(head)) + head)
    if pixels is not None:
        out.write(pixels)
    out.flush()


if __name__ == "__main__":
    main()
