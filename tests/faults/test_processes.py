"""Faults of real processes: one that dies, one that hangs, signals in every phase, a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain import run, validate
from videoar.pretrain.checkpoint.format import Checkpoint, saved_steps, step_name
from videoar.pretrain.run_folder import read_lines

from ..forked import PATIENCE_S, Forked
from .watching import ENDLESS, TRAIN, catches, descendants, ended, start, steps, until

pytestmark = pytest.mark.slow


def pid_of(run: Path, rank: int) -> int:
    return int(json.loads((run / "health" / f"{rank:05d}.json").read_text())["pid"])


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_lines(run / "metrics.jsonl")]


@pytest.mark.drill
def test_a_dead_process_ends_the_job_and_the_run_goes_on(debug_data: str, tmp_path: Path) -> None:
    """The machine of one rank is gone: the others must not wait forever, and the curve must not show it."""
    words = ("--data.url", debug_data, "--processes", 2, "--log.save-every", 4, "--stages.images.steps", 60)
    process = start("--run", tmp_path / "run", *words)
    until(lambda: steps(tmp_path / "run") > 10, process)
    os.kill(pid_of(tmp_path / "run", 1), signal.SIGKILL)
    said = ended(process)
    assert process.returncode == 1
    assert "process 1 failed first, with exit code -9" in said
    for folder in ("run", "straight"):
        process = start("--run", tmp_path / folder, *words)
        said = ended(process)
        assert process.returncode == 0, said
    assert losses(tmp_path / "run") == losses(tmp_path / "straight")
    assert "resumed" in [line["event"] for line in read_lines(tmp_path / "run" / "events.jsonl")]


@pytest.mark.drill
def test_a_process_that_hangs_is_named_and_the_job_ends(debug_data: str, tmp_path: Path) -> None:
    """A GPU that stopped answering holds a thousand others: someone must find out which, and give the machines back."""
    words = ("--data.url", debug_data, "--processes", 2, *ENDLESS, "--faults.hang-timeout-s", 12)
    process = start("--run", tmp_path, *words)
    until(lambda: steps(tmp_path) > 10, process)
    stopped = pid_of(tmp_path, 1)
    os.kill(stopped, signal.SIGSTOP)
    said = ended(process)
    assert process.returncode == 1
    assert f"process 1 ({os.uname().nodename}, pid {stopped}) has been in" in said
    assert "; it has written no stack; its state is T (stopped)" in said
    assert "in all_reduce" in (tmp_path / "health" / "00000.stack").read_text()


@pytest.mark.parametrize(("processes", "after_s"), [(1, 0.7), (2, 1.7), pytest.param(2, 3.7, marks=pytest.mark.drill)])
def test_a_signal_as_it_starts(processes: int, after_s: float, debug_data: str, tmp_path: Path) -> None:
    """A job that is called back while it imports has lost nothing: it must be submitted again, not count as failed."""
    words = ("--run", tmp_path / "new", "--data.url", debug_data, "--processes", processes, *ENDLESS)
    interpreter = [sys.executable, "-m", "videoar.cluster.entry", *TRAIN, *map(str, words)]
    process = subprocess.Popen(interpreter, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until(lambda: catches(process.pid, signal.SIGTERM), process)  # earlier it is Python that is not there yet
    time.sleep(after_s)
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert process.returncode == EXIT_PREEMPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.drill)])
def test_a_notice_to_every_process_of_the_job(number: signal.Signals, debug_data: str, tmp_path: Path) -> None:
    """Slurm signals all of a step, the agent between launcher and workers too: it must live until they have saved."""
    process = start("--run", tmp_path, "--data.url", debug_data, "--processes", 2, *ENDLESS)
    until(lambda: steps(tmp_path) > 5, process)
    agent, *workers = descendants(process.pid)
    for pid in (agent, *workers, process.pid):
        os.kill(pid, number)
    assert process.wait() == EXIT_PREEMPTED
    assert not [pid for pid in (agent, *workers) if Path(f"/proc/{pid}").exists()]
    done = steps(tmp_path)
    assert saved_steps(Storage.open(str(tmp_path / "checkpoints")))[-1] == done
    said = ended(process)
    assert "signal, shutting down" not in said, "torch's agent reports what it does"
    assert "Traceback" not in said
    (stopped,) = [line for line in read_lines(tmp_path / "events.jsonl") if line["event"] == "stopped"]
    assert (stopped["step"], stopped["saved"]) == (done, True)


HANG_S = 4.0


def train_with_long_packs(words: list[str]) -> int:
    """`videoar WORDS` with held-out packs that take half a second each; reports how long a validation takes."""
    build, evaluate = validate.plain_pack, run.validate

    def slow(*samples: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return build(*samples, **options)

    def timed(*arguments: Any, **options: Any) -> float:
        begun = time.monotonic()
        found = evaluate(*arguments, **options)
        print(f"validated for {time.monotonic() - begun} s", file=sys.stderr)
        return found

    validate.plain_pack, run.validate = slow, timed  # type: ignore[assignment]
    return main(words)


@pytest.mark.drill
def test_a_long_validation_is_no_hang(debug_data: str, tmp_path: Path) -> None:
    """Each pack is progress; a large held-out set would end the job at every validation, and at every resume again."""
    packs = ("--stages.images.tokens-per-pack", 512, "--stages.video.tokens-per-pack", 512)
    asked = ("--log.validate-every", 8, "--log.validation", "long64", "clips64")
    words = ("--run", tmp_path, "--data.url", debug_data, *packs, *asked, "--faults.hang-timeout-s", HANG_S)
    process = Forked(train_with_long_packs, [*map(str, (*TRAIN, *words))])
    said = ended(process)
    assert process.returncode == 0, said
    assert float(said.rsplit("validated for ", 1)[1].split()[0]) > HANG_S
    assert {line["step"] for line in read_lines(tmp_path / "validation.jsonl")} == {8, 16, 20}


def test_a_signal_while_the_loader_hangs(debug_data: str, tmp_path: Path) -> None:
    """The store does not answer: the process cannot save, and must leave all the same while there is time."""
    data = tmp_path / "data"
    shutil.copytree(debug_data, data)
    for shard in (data / "clips32" / "shards").glob("*.tar"):
        shard.unlink()
        os.mkfifo(shard)  # opening it waits forever
    words = ("--data.url", data, "--faults.stop-within-s", 2, "--stages.images.mixture.1.weight", 0.01)
    process = start("--run", tmp_path / "run", *words, *ENDLESS)
    until(lambda: (tmp_path / "run" / "health" / "00000.json").exists(), process)
    time.sleep(1)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said = ended(process)
    assert process.returncode == EXIT_PREEMPTED
    assert time.monotonic() - begun < 120, "half of the time that it has by default"
    assert "not saved within 2 s of the signal" in said
    assert (tmp_path / "run" / "preempted").exists()
    (stopped,) = [line for line in read_lines(tmp_path / "run" / "events.jsonl") if line["event"] == "stopped"]
    assert (stopped["signal"], stopped["saved"]) == ("SIGTERM", False)


def test_a_full_disk(debug_data: str, tmp_path: Path) -> None:
    """Saves that fail leave the checkpoint before them whole, are reported, and end the run before weeks are lost."""
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    words = ("--run", tmp_path / "run", "--data.url", debug_data, "--log.checkpoints", disk, *ENDLESS)
    inside = f'mount -t tmpfs -o size=8m tmpfs {disk} && "$@"; code=$?; cp -r {disk} {copy}; exit $code'
    command = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        inside,
        "sh",
        sys.executable,
        "-m",
        "videoar.cluster.entry",
        *TRAIN,
        *map(str, words),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 1
    last_line = done.stderr.splitlines()[-1]
    assert "3 checkpoints in a row were not written" in last_line
    assert "the disk is full" in last_line
    failed = [line for line in read_lines(tmp_path / "run" / "events.jsonl") if line["event"] == "save_failed"]
    assert [line["checkpoint"] for line in failed] == [8, 12, 16]
    root = Storage.open(str(copy))
    assert saved_steps(root) == (4,)
    Checkpoint(root.child(step_name(4))).verify()
    assert not [path for path in copy.glob("step-*/*") if "step-00000004" not in str(path)], "half files keep it full"
