"""The S3 server of the tests: started, killed and started again; and what a client must know of it."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY = "videoar:tester"
SECRET = "a-secret-of-the-tests-alone"
BUCKET = "videoar-tests"
START_S = 60.0


@dataclass(frozen=True, slots=True)
class S3Store:
    """A folder of its own on the server, for one test."""

    url: str
    """s3://BUCKET/PREFIX, with nothing below it yet."""
    endpoint: str
    environment: dict[str, str]
    """What a process needs to reach it; already set in this one."""


class S3Server:
    """Swift in a process of its own, on one port of loopback for its whole life."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables of the credential chain, and nothing from this machine's own configuration."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def start(self) -> None:
        """Serve what the folder holds. RuntimeError with the server's own words where it cannot."""
        assert self._process is None, "it is running"
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("swift_server.py"))]
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [*command, str(self._folder), str(self._port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
            )
            assert self._process.stdin is not None
            self._process.stdin.write(f"{SECRET}\n".encode())
            self._process.stdin.flush()
            if not self._is_ready():
                self.kill()
                said.seek(0)
                raise RuntimeError(_explain(said.read().decode(errors="replace")))

    def kill(self) -> None:
        """Kill the server with -9, in the middle of its work."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return bool(selector.select(START_S)) and bool(self._process.stdout.readline())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _explain(said: str) -> str:
    reason = said.strip().splitlines()[-1] if said.strip() else f"it said nothing for {START_S:g} s"
    remedy = ""
    if "No module named" in reason:
        remedy = "; install it: pip install -c constraints.txt -e '.[dev]'"
    elif "not supported" in reason:
        remedy = "; give pytest a --basetemp on a filesystem with extended attributes (ext4, xfs, btrfs)"
    return f"the S3 server of the tests cannot start: {reason}{remedy}"
