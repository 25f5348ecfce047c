"""The real trainer and the real preparation on a real Slurm, from `videoar submit` to their last line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from videoar.cluster.entry import main

from ...forked import run_command
from ...slurm_cluster import SlurmCluster

pytestmark = pytest.mark.drill

CUT = ("--parallel.tensor", "2", "--parallel.sequence", "True")


def test_a_run_ended_by_its_time_limit_has_the_straight_run_s_losses(
    slurm: SlurmCluster, debug_data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two machines of two processes: told before the time is over, saved, queued again, finished digit for digit."""
    fields = (*CUT, "--processes", "2", "--data.url", debug_data, "--faults.stop-within-s", "60")
    assert main(["submit", "debug", "--to", "slurm", "--nodes", "2", "--time", "10m", "--run", "run", *fields]) == 0
    number = capsys.readouterr().out.strip()
    slurm.wait_for(lambda: len(losses(tmp_path / "run")) >= 3, 300)
    first = first_process()
    os.kill(first, signal.SIGSTOP)  # the run waits in its step until the time limit is near
    slurm.ask("scontrol", "update", f"JobId={number}", "TimeLimit=2")
    slurm.wait_for(lambda: has_pending(first, signal.SIGTERM), 120)
    os.kill(first, signal.SIGCONT)
    slurm.start_now(number)
    slurm.ask("scontrol", "update", f"JobId={number}", "TimeLimit=10")
    assert 3 <= len(losses(tmp_path / "run")) < 20
    assert main(["logs", number, "--follow"]) == 0
    assert json.loads(_status(number, capsys))["state"] == "done"
    straight = tmp_path / "straight"
    run_command("train", "debug", "--run", straight, *CUT, "--processes", "4", "--data.url", debug_data)
    assert losses(tmp_path / "run") == losses(straight)
    assert len(losses(straight)) == 20


def test_an_array_makes_every_unit_once(
    slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two jobs, each with a Ray cluster of its own, share the plan: nothing is doubled, nothing is missing."""
    words = ["debug", "--output", "out", "--data.samples-per-shard", "4"]
    sent = ["submit", *words, "--to", "slurm", "--command", "data run", "--array", "2", "--wait"]
    assert main(sent) == 2
    assert "has no plan to make a part of; run `videoar data plan` first" in capsys.readouterr().err
    assert main(["data", "plan", *words]) == main(sent) == 0
    assert main(["data", "verify", "out"]) == 0
    for dataset in (tmp_path / "out").iterdir():
        commits = len(list((dataset / "commits").iterdir()))
        assert len(list((dataset / "shards").iterdir())) == commits > 1


def test_an_array_makes_every_video_once(
    slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two jobs begin at the same moment in the same folder, and share five videos; sent again, they find all made."""
    (tmp_path / "prompts.txt").write_text("a red square moving left\n")
    sent = ["submit", "small-world", "prompts.txt", "out", "--to", "slurm", "--command", "evaluate vbench-export"]
    assert main([*sent, "--num-frames", "5", "--guidance", "1", "--array", "2", "--wait"]) == 0
    number = capsys.readouterr().out.strip()
    names = {f"a red square moving left-{index}.mp4" for index in range(5)}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert main(["logs", number]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"videos"')]
    assert sorted(report["videos"] for report in reports) == [2, 3]
    assert main([*sent, "--num-frames", "5", "--guidance", "1", "--array", "2", "--wait"]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == made


def losses(run: Path) -> list[tuple[int, float]]:
    """Step and loss of every line."""
    with contextlib.suppress(FileNotFoundError):
        lines = (run / "metrics.jsonl").read_text().splitlines()
        return [(line["step"], line["loss"]) for line in map(json.loads, lines)]
    return []


def first_process() -> int:
    """The process of rank 0 of the job."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (place / "environ").read_bytes().split(b"\0")
            words = (place / "cmdline").read_bytes().split(b"\0")
            if b"RANK=0" in variables and b"videoar.cluster.entry" in words and _is_of_slurm(variables):
                return int(place.name)
    raise AssertionError("no process of rank 0")


def _is_of_slurm(variables: list[bytes]) -> bool:
    return f"SLURM_CONF={os.environ['SLURM_CONF']}".encode() in variables


def has_pending(process: int, number: int) -> bool:
    """Whether a signal waits for a process that is stopped."""
    lines = (Path("/proc") / str(process) / "status").read_text().splitlines()
    (mask,) = [line.split()[1] for line in lines if line.startswith("ShdPnd")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def _status(number: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["status", number, "--json"]) == 0
    return capsys.readouterr().out
