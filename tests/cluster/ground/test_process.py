from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import PREEMPTED_MARKER, World
from videoar.cluster.ground.processes.launch import launch
from videoar.pretrain.generate.video import save_mp4


def test_a_process_alone_is_the_first_of_one() -> None:
    """Without torchrun the trainer must not wait for others."""
    assert World.here() == World(rank=0, local_rank=0, world_size=1)
    assert World.here().is_first


def test_the_world_is_read_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank misread makes two processes write the same checkpoint."""
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert World.here() == World(rank=3, local_rank=1, world_size=4)
    assert not World.here().is_first


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "two", "WORLD_SIZE": "4"}, "RANK=two: is not a whole number; start with torchrun or srun"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK=4: is not the index of a process of the job; set WORLD_SIZE above it"),
        ({"WORLD_SIZE": "4"}, "WORLD_SIZE=4: is set without RANK; unset it, or start with torchrun or srun"),
    ],
)
def test_half_a_world_is_refused(variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes another for its partner waits for ever, or writes its checkpoint."""
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, variables.get(name, ""))
    with pytest.raises(InputError, match=re.escape(message)):
        World.here()


SBATCH = {"NTASKS": "2", "PROCID": "0", "LOCALID": "0", "JOB_ID": "7"}
SALLOC = {"NTASKS": "2", "JOB_ID": "7"}
SHELL_OF_SALLOC = {**SBATCH, "LAUNCH_NODE_IPADDR": "10.0.0.7", "STEP_NUM_TASKS": "1"}


@pytest.mark.parametrize("variables", [SBATCH, SALLOC, SHELL_OF_SALLOC, {"NTASKS": ""}])
def test_inside_an_allocation_without_srun_a_process_is_alone(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch script that calls the trainer itself waited for tasks that nobody starts."""
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MASTER_ADDR", "node-1")  # many scripts set it for all
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert World.here() == World()


@pytest.mark.slow
def test_wrong_input_of_a_worker_is_the_jobs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """torchrun makes 1 of every code and a page of every line; a stale marker must not turn it to 75."""
    (tmp_path / PREEMPTED_MARKER).touch()
    assert launch(["config", "debgu"], 2, tmp_path) == 2
    lines = capfd.readouterr().err.splitlines()
    assert lines
    assert set(lines) == {"RECIPE=debgu: is not a recipe in configs/, or a .yaml or .py file; did you mean debug?"}


@pytest.mark.slow
def test_a_worker_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a thousand processes one is the culprit; the last line of the log says which."""
    clip = save_mp4(np.zeros((1, 32, 32, 3), np.uint8), tmp_path / "clip.mp4", 8.0)
    asked = ["tokenizer", "reconstruct", "tiny", str(clip), "/proc/clip.mp4", "--size", "32x32"]  # takes no files
    assert launch(asked, 1, tmp_path) == 1
    assert capfd.readouterr().err.splitlines()[-1] == "process 0 failed first, with exit code 1"


def test_the_world_is_read_from_srun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under srun there is no torchrun: ranks are Slurm's, and all tasks of a job must agree on where they meet."""
    variables = {"PROCID": "5", "LOCALID": "1", "NTASKS": "8", "JOB_ID": "123456", "LAUNCH_NODE_IPADDR": "10.0.0.7"}
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert World.here() == World(rank=5, local_rank=1, world_size=8, rendezvous="tcp://10.0.0.7:23456")
    monkeypatch.setenv("RANK", "0")  # torchrun inside an allocation sets its own variables
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert World.here() == World(rank=0, local_rank=0, world_size=2)


def test_the_machines_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher on each machine starts processes of one job; inside torchrun there is nothing to start."""
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NNODES"):
        monkeypatch.setenv(name, "")
    assert World.of_machines() == World()
    tasks = {**SHELL_OF_SALLOC, "STEP_NUM_TASKS": "2", "PROCID": "1"}
    with monkeypatch.context() as inside:
        for name, value in tasks.items():
            inside.setenv(f"SLURM_{name}", value)
        port = 20_000 + int(SBATCH["JOB_ID"])
        assert World.of_machines() == World(rank=1, local_rank=0, world_size=2, rendezvous=f"tcp://10.0.0.7:{port}")
        inside.setenv("RANK", "0")
        assert World.of_machines() == World()
    for name, value in {"NNODES": "3", "NODE_RANK": "2", "MASTER_ADDR": "n0", "MASTER_PORT": "29400"}.items():
        monkeypatch.setenv(name, value)
    assert World.of_machines() == World(rank=2, world_size=3, rendezvous="tcp://n0:29400")
    monkeypatch.setenv("NODE_RANK", "3")
    with pytest.raises(InputError, match="NODE_RANK=3: is not the index of one of 3 machines"):
        World.of_machines()
