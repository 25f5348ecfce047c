"""Ray Jobs on a real cluster of two machines with a token: data, training, preemption, cancelling, a wrong token."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.pretrain.run_folder import read_lines

from .... import ray_namespace
from ....forked import run_command
from ....ray_namespace import RayNamespace

pytestmark = pytest.mark.drill

PATIENCE_S = 600.0
Videoar = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNamespace]:
    """One cluster for all tests of this file."""
    if reason := ray_namespace.why_not():
        pytest.skip(reason)
    cluster = RayNamespace(tmp_path_factory.mktemp("ray"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def videoar(
    cluster: RayNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Videoar:
    """Runs a command in a folder of its own, inside the cluster's network: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)

    def run(*words: object) -> tuple[int, str, str]:
        code = cluster.here(main, [str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_lines(run / "metrics.jsonl")]


def processes(run: str, module: str = "") -> list[int]:
    """Process ids of all processes that train a run, on the machines of the cluster; or of one module's."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_text().split("\0")
            if "train" in words and run in words and (not module or module in words):
                found.append(int(place.name))
    return found


def parent(process: int) -> int:
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("PPid:")]
    return int(line.split()[1])


def test_a_wrong_token_is_refused_in_one_line(videoar: Videoar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone who reaches the head could run commands there; a person with an old token must see why not."""
    words = ("submit", "debug", "--to", "ray", "--run", "runs/a")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong-token-of-somebody")
    code, _, said = videoar(*words)
    assert (code, said.splitlines()[-1].count("is refused by http://127.0.0.1:8265")) == (2, 1)
    assert "wrong-token" not in said
    monkeypatch.delenv("RAY_AUTH_MODE")
    code, _, said = videoar(*words)
    assert (code, said.splitlines()[-1].count("asks for a token")) == (2, 1)
    assert not list(Path("jobs").glob("*")), "nothing was sent"


def test_a_data_job_makes_the_shards(videoar: Videoar) -> None:
    """The command joins the cluster that it runs in; what it prints reaches the person who waits."""
    words = ("--command", "data run", "--output", "shards", "--data.actors", 2, "--json", "--wait")
    code, job, said = videoar("submit", "debug", "--to", "ray", *words)
    assert code == 0, said
    assert Path("shards/clips64/dataset.json").exists()
    assert json.loads(said.splitlines()[-1])["shards"] == "10/10"
    code, shown, _ = videoar("status", job.strip(), "--json")
    assert (code, json.loads(shown)["state"], json.loads(shown)["exit_code"]) == (0, "done", 0)


def test_two_machines_train_and_resume_after_75(videoar: Videoar, debug_data: str, tmp_path: Path) -> None:
    """One machine is told to leave: both save, start again within the job, and the curve does not show it."""
    words = ("--data.url", debug_data, "--stages.images.steps", 24, "--log.save-every", 8)
    code, job, said = videoar("submit", "debug", "--to", "ray", "--nodes", 2, "--run", "runs/a", *words)
    assert code == 0, said
    until(lambda: Path("runs/a/metrics.jsonl").exists() and len(losses(Path("runs/a"))) > 5)
    agents = processes("runs/a", "videoar.cluster.ground.processes.workers")
    assert len(agents) == 2, "one a machine"
    os.kill(parent(agents[0]), signal.SIGTERM)
    code, log, said = videoar("logs", job.strip(), "--follow")
    assert "saved; started again, 1 of at most 20 times" in log, log
    code, shown, _ = videoar("status", job.strip(), "--json")
    assert json.loads(shown)["state"] == "done", log
    run_command("train", "debug", "--run", tmp_path / "straight", "--processes", 2, *words)
    assert losses(Path("runs/a")) == losses(tmp_path / "straight")


def test_two_processes_of_one_machine_are_cancelled(videoar: Videoar, debug_data: str) -> None:
    """A cancelled job must not leave processes that hold the GPUs."""
    words = ("--data.url", debug_data, "--stages.images.steps", 100_000)
    code, job, said = videoar("submit", "debug", "--to", "ray", "--processes", 2, "--run", "runs/c", *words)
    assert code == 0, said
    until(lambda: Path("runs/c/metrics.jsonl").exists())
    assert "running" in videoar("status", job.strip())[1]
    assert videoar("cancel", job.strip())[0] == 0
    until(lambda: "cancelled" in videoar("status", job.strip())[1])
    until(lambda: not processes("runs/c"))


def test_the_exit_code_reaches_the_caller(videoar: Videoar) -> None:
    """A script that submits acts on it: wrong input is not a lost machine."""
    code, _, said = videoar("submit", "debug", "--to", "ray", "--data.url", "nowhere/shards", "--wait")
    assert code == 2, said
    assert "nowhere/shards" in said


def test_a_job_that_the_cluster_does_not_know(videoar: Videoar, cluster: RayNamespace) -> None:
    """The head was started again: the record is still here, and `status` says so."""
    Path("jobs").mkdir()
    words = ("engine: ray", "job: gone", "name: x", "command: [train]", f"folder: {Path.cwd()}", "jobs: jobs")
    place = f"place: {cluster.environment['RAY_ADDRESS']}"
    Path("jobs/gone.yaml").write_text("\n".join([*words, "logs: []", "when: x", place, ""]))
    assert "does not know the job" in videoar("status", "gone")[1]
    assert videoar("logs", "gone", "--follow")[0] == 0
