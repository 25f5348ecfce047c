"""Processes that are forked from one in which everything is imported: a start costs 0.1 s, where imports cost 5 s.

The tests of starting itself (torchrun's agent, signals while modules are imported) start an interpreter instead.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from torch.distributed import TCPStore

from videoar.cluster.entry import main

MODULES = (
    "videoar.cluster.entry",
    "videoar.pretrain.train",
    "videoar.pretrain.parallel.engine",
    "videoar.pretrain.export.convert",
    "videoar.pretrain.generate",
    "videoar.data_pipeline.preparing.prepare",
)
PATIENCE_S = 600.0
"""Seconds after which a command counts as hung, even on a busy machine."""

_CONTEXT = multiprocessing.get_context("forkserver")


def name_modules() -> None:
    """Say what the server is to import; it starts when the first process is asked for."""
    _CONTEXT.set_forkserver_preload(list(MODULES))


class Forked:
    """A function in a process of its own, used as `subprocess.Popen` is."""

    def __init__(
        self, function: Callable[..., int | None], *arguments: Any, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._written: tuple[str, str] | None = None
        files = (str(self._folder / "stdout"), str(self._folder / "stderr"))
        words = {**os.environ, **(environment or {})}
        self._process = _CONTEXT.Process(target=_run, args=(files, os.getcwd(), words, function, arguments))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def sentinel(self) -> int:
        return self._process.sentinel

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = PATIENCE_S) -> int:
        if not wait([self._process.sentinel], timeout):
            raise TimeoutExpired((self._folder / "stderr").read_text(), timeout)
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def communicate(self, timeout: float = PATIENCE_S) -> tuple[str, str]:
        """What it wrote to stdout and to stderr until it ended."""
        self.wait(timeout)
        if self._written is None:
            self._written = (self._folder / "stdout").read_text(), (self._folder / "stderr").read_text()
            shutil.rmtree(self._folder)
        return self._written

    def said(self) -> str:
        """What it has written to stdout so far."""
        stdout = self._folder / "stdout"
        return stdout.read_text() if stdout.exists() else ""

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def run_command(*words: object) -> str:
    """Run `videoar WORDS` to its end, which must be 0; what it wrote to stdout."""
    process = command(*words)
    out, err = process.communicate()
    assert process.returncode == 0, err[-20_000:]
    return out


def command(*words: object) -> Forked:
    """`videoar WORDS`, started."""
    return Forked(_command, [str(word) for word in words])


def workers(count: int, function: Callable[..., int | None], *arguments: Any) -> None:
    """Run the function in `count` processes that find each other as those of torchrun do. Each must end with 0."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    job = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is kept by us, as it is by torchrun's agent
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": str(count),
    }
    places = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    started = [Forked(function, *arguments, environment=job | place) for place in places]
    while (running := [worker.sentinel for worker in started if worker.poll() is None]) and not _failed(started):
        assert wait(running, PATIENCE_S), "the processes hang"
    failed = _failed(started)
    for worker in started:
        if failed:
            worker.kill()
        worker.wait()
    assert not failed, failed[0].communicate()[1][-20_000:]


def _failed(started: list[Forked]) -> list[Forked]:
    return [worker for worker in started if worker.poll()]


def _command(words: list[str]) -> int:
    return main(words)


def _run(
    files: tuple[str, str], folder: str, words: dict[str, str], function: Callable[..., int | None], arguments: Any
) -> None:
    """The first lines of the process: what an interpreter would have been given at its start."""
    for number, file in enumerate(files, start=1):
        target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, number)
        os.close(target)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests behind it ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(words)
    sys.exit(function(*arguments))
