"""`videoar data run` on a cluster that was there before: as a Ray Job, and from outside by its address."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.data_pipeline.preparing.verify import find_datasets, verify

from ..processes import family, listening

pytestmark = pytest.mark.slow

RAY = Path(sys.executable).with_name("ray")
VIDEOAR = Path(sys.executable).with_name("videoar")
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[str, str, dict[str, str]]]:
    """(address, dashboard, environment) of a cluster as the documentation says to start one: loopback and a token."""
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": os.urandom(32).hex(),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    port, dashboard = _free_port(), _free_port()
    words = f"start --head --block --node-ip-address 127.0.0.1 --port {port} --num-cpus 2 --include-dashboard true"
    words += f" --dashboard-host 127.0.0.1 --dashboard-port {dashboard} --ray-client-server-port {_free_port()}"
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        command = [str(RAY), *words.split(), "--temp-dir", folder]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{dashboard}/api/version")
            assert listening(process.pid) <= LOOPBACK
            yield f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", environment
        finally:
            for pid in family(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str) -> None:
    """Until it answers, if only to refuse."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.3)
    raise TimeoutError(url)


@pytest.mark.drill
def test_a_ray_job_works_on_the_cluster_it_was_submitted_to(
    head: tuple[str, str, dict[str, str]], tmp_path: Path
) -> None:
    """A cluster of its own inside a job would leave the machines of the other idle."""
    _, dashboard, environment = head
    command = [RAY, "job", "submit", "--address", dashboard, "--", VIDEOAR, "data", "run", "debug", "--output"]
    words, deadline = [*map(str, command), str(tmp_path), "--json"], time.monotonic() + 120
    while True:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=200, check=False)
        if "No available agent" not in done.stderr or time.monotonic() > deadline:
            break
        time.sleep(1)  # a cluster takes jobs only some time after it has started
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    for url in find_datasets(str(tmp_path)):
        assert verify(url).problems == ()


@pytest.mark.drill
def test_the_jobs_api_refuses_who_has_no_token(head: tuple[str, str, dict[str, str]]) -> None:
    """It runs any command for anybody who may connect to it."""
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"{head[1]}/api/jobs/", timeout=10)
    refused.value.close()


@pytest.mark.drill
def test_a_cluster_is_joined_by_its_address(head: tuple[str, str, dict[str, str]], tmp_path: Path) -> None:
    """With the token; without it, one line says so."""
    address, _, environment = head
    command = [str(VIDEOAR), "data", "run", "debug", "--output", str(tmp_path), "--address", address]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    refused = subprocess.run(
        [*command[:-3], str(tmp_path / "other"), "--address", address],
        capture_output=True,
        text=True,
        timeout=200,
        env={**environment, "RAY_AUTH_TOKEN": "f" * 64},
        check=False,
    )
    assert refused.returncode == 2, refused.stderr
    assert f"address={address}: cannot be joined" in refused.stderr.splitlines()[-1]


def test_the_cluster_listens_on_loopback_alone(cluster: None) -> None:
    """A port on another interface lets anybody in the network run code here."""
    found = listening(os.getpid())
    assert found, "Ray has ports"
    assert found <= LOOPBACK


STRANGER = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"")
    print("let in")
except AuthenticationError:
    print("refused")
"""


@pytest.mark.parametrize(
    ("stranger", "answer"),
    [({"RAY_AUTH_MODE": "disabled"}, "refused"), ({"RAY_AUTH_TOKEN": "f" * 64}, "refused"), ({}, "let in")],
)
def test_the_cluster_lets_nobody_in_without_its_token(cluster: None, stranger: dict[str, str], answer: str) -> None:
    """On a machine of several people, loopback alone lets each of them run code as the other."""
    import ray

    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, address],
        env={**os.environ, **stranger},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == answer
