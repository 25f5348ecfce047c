"""A real Ray cluster of two pretended machines, with a token, in namespaces of its own: no port is seen outside.

It needs root. Ray binds most of its ports to every interface, so it gets a network with a loopback only; and
`ray stop` ends every Ray of the machine, so it gets process numbers of its own, and all end with the first of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import environment
from videoar.cluster.submit.ray_jobs.api import RayApi

P, Result = ParamSpec("P"), TypeVar("Result")

ADDRESS = "http://127.0.0.1:8265"
_PATIENCE_S = 300.0
_TRIES = 3
_NAMESPACES = ("--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
_NEW_NETWORK = 0x40000000
_MACHINE = ("--node-ip-address=127.0.0.1", "--object-store-memory=83886080", "--disable-usage-stats", "--block")


def why_not() -> str:
    """Why it cannot run here; empty if it can."""
    try:
        tried = subprocess.run(
            ["unshare", *_NAMESPACES, "ip", "link", "set", "lo", "up"], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        return f"a Ray cluster needs a namespace of its own: {error}"
    return f"a Ray cluster needs a namespace of its own: {tried.stderr.strip()}" if tried.returncode else ""


class _Ended(Exception):
    """The head has ended; its log."""


class RayNamespace:
    """The cluster; `here` runs a function of this process inside its network."""

    def __init__(self, folder: Path, cpus: int = 4) -> None:
        self._folder, self._cpus = folder, cpus
        token = folder / "token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_ADDRESS": ADDRESS}
        self._processes = list[subprocess.Popen[bytes]]()
        self._first = 0
        self._thread: ThreadPoolExecutor | None = None
        self._ray = shutil.which("ray") or str(Path(sys.executable).with_name("ray"))

    def start(self) -> None:
        """Start the head and a second machine; returns when the head answers.

        On a busy machine a part of Ray may wait too long for another, and then all of the head ends: once more.
        """
        for _ in range(_TRIES - 1):
            with contextlib.suppress(_Ended):
                return self._start_machines()
            self.stop()
            self._processes.clear()
        self._start_machines()

    def _start_machines(self) -> None:
        head = [self._ray, "start", "--head", "--port=26379", "--dashboard-host=127.0.0.1", "--dashboard-port=8265"]
        head += [f"--num-cpus={self._cpus}", f"--temp-dir={self._folder}/ray", *_MACHINE]
        self._start(["unshare", *_NAMESPACES, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *head], "head")
        self._first = self._wait_for(self._child)
        network = os.open(f"/proc/{self._first}/ns/net", os.O_RDONLY)
        self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(network,))
        self._wait_for(self._answers)
        second = [self._ray, "start", "--address=127.0.0.1:26379", f"--num-cpus={self._cpus}", *_MACHINE]
        self._start(["nsenter", "--net", "--pid", "--mount", f"--target={self._first}", *second], "second")

    def here(self, function: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Result:
        """Call a function in a thread whose connections are made inside the cluster's network."""
        assert self._thread is not None, "is not started"
        return self._thread.submit(function, *arguments, **named).result()

    def stop(self) -> None:
        """End every process of the namespace, which ends with its first."""
        for process in self._processes:
            process.terminate()
        if self._first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._first = 0
        for process in self._processes:
            process.wait(_PATIENCE_S)
        if self._thread is not None:
            self._thread.shutdown()

    def _start(self, words: Sequence[str], name: str) -> None:
        # The jobs' files: the head's processes import the project as this process does.
        variables = {**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        del variables["RAY_ADDRESS"]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(words, env=variables, stdout=log, stderr=log))

    def _child(self) -> int:
        """The first process of the namespace, by its number outside."""
        first = Path(f"/proc/{self._processes[0].pid}/task/{self._processes[0].pid}/children").read_text().split()
        return int(first[0]) if first else 0

    def _answers(self) -> bool:
        try:
            with environment(self.environment):
                return self.here(RayApi(ADDRESS).ask, "version") is not None
        except Stopped:
            return False

    def _wait_for(self, ready: Callable[[], Result]) -> Result:
        end = time.monotonic() + _PATIENCE_S
        while not (found := ready()):
            logs = [path.read_text(errors="replace")[-3000:] for path in self._folder.glob("*.log")]
            assert time.monotonic() < end, logs
            if self._processes[0].poll() is not None:
                raise _Ended(logs)
            time.sleep(0.1)
        return found


def _enter(network: int) -> None:
    """This thread, and no other, goes into the network."""
    if ctypes.CDLL(None, use_errno=True).setns(network, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
