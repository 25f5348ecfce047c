"""Trainers under a real torchrun, which people use on clusters: a worker that is killed, a notice to the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import saved_steps
from videoar.pretrain.run_folder import EVENTS, read_lines

from .test_processes import losses, pid_of
from .watching import ENDLESS, TRAIN, ended, start, steps, until

pytestmark = pytest.mark.slow

AGENT = ("--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0")


def torchrun(*words: object) -> subprocess.Popen[str]:
    """`torchrun -m videoar.cluster.entry train debug WORDS`."""
    agent = [sys.executable, "-m", "torch.distributed.run", *AGENT, "--local-addr", "127.0.0.1", "--max-restarts", "3"]
    command = [*agent, "-m", "--", "videoar.cluster.entry", *TRAIN, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.drill
def test_a_killed_worker_is_started_again_and_resumes_alone(debug_data: str, tmp_path: Path) -> None:
    """Every restart failed: the new processes met at the addresses that the dead ones had left in the agent's store."""
    words = ("--data.url", debug_data, "--log.save-every", 4, "--stages.images.steps", 40)
    process = torchrun("--run", tmp_path / "killed", *words)
    until(lambda: steps(tmp_path / "killed") > 10, process)
    os.kill(pid_of(tmp_path / "killed", 1), signal.SIGKILL)
    said = ended(process)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    straight = start("--run", tmp_path / "straight", *words, "--processes", 2)
    assert straight.wait() == 0, ended(straight)
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")
    events = [line["event"] for line in read_lines(tmp_path / "killed" / EVENTS)]
    assert events.count("resumed") == 1


@pytest.mark.drill
def test_a_notice_to_the_agent_is_a_saved_step(debug_data: str, tmp_path: Path) -> None:
    """The agent kills its workers after 30 s: they save at once, and mark the run, because torchrun returns 1."""
    process = torchrun("--run", tmp_path, "--data.url", debug_data, *ENDLESS)
    until(lambda: steps(tmp_path) > 4, process)
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert saved_steps(Storage.open(str(tmp_path / "checkpoints")))[-1] == steps(tmp_path)
    assert (tmp_path / "preempted").exists()
    (stopped,) = [line for line in read_lines(tmp_path / EVENTS) if line["event"] == "stopped"]
    assert (stopped["signal"], stopped["step"], stopped["saved"]) == ("SIGTERM", steps(tmp_path), True)
