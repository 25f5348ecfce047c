"""Two machines whose network is cut for a while: each is a network namespace, with a cable to the same bridge."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from videoar.pretrain.run_folder import read_lines

from ..forked import PATIENCE_S, run_command

pytestmark = pytest.mark.drill

NAMESPACES = ("--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
CABLES = """
mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
ip link set lo up && ip link add bridge0 type bridge && ip link set bridge0 up
for i in 1 2; do
    ip netns add m$i && ip link add v$i type veth peer name e0 netns m$i && ip link set v$i master bridge0 up
    ip -n m$i addr add 10.77.0.$i/24 dev e0 && ip -n m$i link set e0 up && ip -n m$i link set lo up || exit 1
done
echo ready; exec sleep infinity
"""


class Machines:
    """The two machines; `first` is the number of the process whose namespaces hold them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = subprocess.Popen(
            ["unshare", *NAMESPACES, "sh", "-ec", CABLES], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, said = self._holder.communicate()
            pytest.skip(f"two networks need namespaces of their own: {said.strip()}")
        self.trainers = list[subprocess.Popen[bytes]]()
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.first = int(children.split()[0])

    def train(self, number: int, *words: object) -> None:
        """Start `videoar train debug` on a machine, as a launcher of one process."""
        job = {"NNODES": "2", "NODE_RANK": str(number), "MASTER_ADDR": "10.77.0.1", "MASTER_PORT": "29400"}
        paths = os.pathsep.join(filter(None, sys.path))
        named = f'hostname m{number + 1} && exec "$@"'
        command = [sys.executable, "-m", "videoar.cluster.entry", "train", "debug", *map(str, words)]
        inside = ["ip", "netns", "exec", f"m{number + 1}", "unshare", "--uts", "sh", "-c", named, "sh", *command]
        with self.log(number).open("wb") as log:
            process = subprocess.Popen(
                ["nsenter", "--net", "--pid", "--mount", f"--target={self.first}", *inside],
                env={**os.environ, **job, "GLOO_SOCKET_IFNAME": "e0", "PYTHONPATH": paths},
                stdout=log,
                stderr=log,
            )
        self.trainers.append(process)

    def log(self, number: int) -> Path:
        return self._folder / f"machine{number}.log"

    def said(self) -> str:
        return "\n".join(self.log(number).read_text()[-6000:] for number in range(len(self.trainers)))

    def cable(self, state: str) -> None:
        """Cut the second machine off, or connect it."""
        words = ["nsenter", "--net", f"--target={self.first}", "ip", "link", "set", "v2", state]
        subprocess.run(words, check=True)

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, self.said()
            assert not any(process.poll() for process in self.trainers), self.said()
            time.sleep(0.1)

    def stop(self) -> None:
        os.kill(self.first, signal.SIGKILL)
        self._holder.communicate()
        for process in self.trainers:
            process.wait()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    yield machines
    machines.stop()


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_lines(run / "metrics.jsonl")]


def test_a_network_that_fails_for_a_while_costs_time_only(machines: Machines, debug_data: str, tmp_path: Path) -> None:
    """A switch that restarts must neither end a job of many machines nor change what it learns."""
    words = ("--data.url", debug_data, "--stages.images.steps", 60, "--log.save-every", 10)
    run = ("--run", tmp_path / "cut", *words, "--faults.hang-timeout-s", 20)
    for number in range(2):
        machines.train(number, *run)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    machines.until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 12)
    machines.cable("down")
    machines.until(
        lambda: "start again" in machines.log(0).read_text() and "no progress" in machines.log(1).read_text()
    )
    machines.cable("up")
    machines.until(lambda: all(process.poll() == 0 for process in machines.trainers))
    run_command("train", "debug", "--run", tmp_path / "straight", "--processes", 2, *words)
    assert losses(tmp_path / "cut") == losses(tmp_path / "straight")
    assert "resumed" in [line["event"] for line in read_lines(tmp_path / "cut" / "events.jsonl")]
