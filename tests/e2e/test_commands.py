"""The path as a person walks it: command after command, each a process."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.pretrain.run_folder import read_lines

from ..forked import PATIENCE_S, command, run_command, workers

pytestmark = pytest.mark.slow


def run(*arguments: str | Path) -> list[str]:
    return run_command(*arguments).splitlines()


@pytest.fixture(scope="session")
def shards(debug_data: str) -> Path:
    """The data of the debug recipe."""
    return Path(debug_data)


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the debug recipe."""
    folder = tmp_path_factory.mktemp("runs") / "debug"
    assert run("train", "debug", "--run", folder, "--data.url", shards) == [str(folder)]
    return folder


def test_what_is_prepared_is_counted_and_sound(shards: Path) -> None:
    """`stats` and `verify` are how one trusts a month of preparation."""
    counts = [json.loads(line) for line in run("data", "stats", shards, "--json")]
    assert all(row["is_finished"] and row["num_samples"] == 24 for row in counts)
    assert all(json.loads(line)["problems"] == [] for line in run("data", "verify", shards))
    made = run("data", "run", "debug", "--output", shards)
    assert [json.loads(line)["dataset"] for line in made] == ["images32", "clips32", "images64", "clips64", "long64"]


def test_a_damaged_shard_fails_verification(shards: Path, tmp_path: Path) -> None:
    """A flipped byte that nobody sees becomes noise in the weights; the exit code is what a script looks at."""
    copy = tmp_path / "clips32"
    subprocess.run(["cp", "-r", shards / "clips32", copy], check=True)
    shard = next((copy / "shards").iterdir())
    payload = bytearray(shard.read_bytes())
    payload[600] ^= 1
    shard.write_bytes(payload)
    process = command("data", "verify", f"{copy}/")
    out, _ = process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["problems"]


def test_trained_weights_become_a_video(trained: Path, tmp_path: Path) -> None:
    """The product in three commands."""
    steps = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == list(range(20))
    assert run("export", trained, tmp_path / "weights") == [str(tmp_path / "weights")]
    video = tmp_path / "square.mp4"
    words = ("generate", tmp_path / "weights", "--prompt", "a red square", "--seconds", "1", "--out", video)
    assert run(*words) == [str(video)]
    assert video.stat().st_size > 1000


def test_a_cut_model_trains_exports_and_generates(trained: Path, shards: Path, tmp_path: Path) -> None:
    """Tensor 2 x pipeline 2 through the three stages: the weights that come out are those of one process."""
    cut = ("--parallel.tensor", "2", "--parallel.pipeline", "2", "--log.profile-every", "8")
    workers(4, main, ["train", "debug", "--run", str(tmp_path / "run"), "--data.url", str(shards), *cut])
    run("export", tmp_path / "run", tmp_path / "weights")
    words = (
        "generate",
        tmp_path / "weights",
        "--prompt",
        "a red square",
        "--seconds",
        "1",
        "--out",
        tmp_path / "x.mp4",
    )
    assert run(*words) == [str(tmp_path / "x.mp4")]
    straight, cut_run = (read_lines(folder / "metrics.jsonl") for folder in (trained, tmp_path / "run"))
    assert [record["loss"] for record in cut_run] == pytest.approx([record["loss"] for record in straight], rel=1e-4)
    measured = {record["step"]: record["communication"] for record in cut_run if record["communication"] is not None}
    assert measured.keys() == {8, 16}
    assert all(0 < seconds < 60 for seconds in measured.values())


def test_the_same_command_again_has_nothing_to_do(trained: Path, shards: Path) -> None:
    """A job that is submitted again after its end must not train on."""
    before = (trained / "metrics.jsonl").read_text()
    run("train", "debug", "--run", trained, "--data.url", shards)
    assert (trained / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_a_signal_saves_and_exits_75(processes: int, shards: Path, tmp_path: Path) -> None:
    """Schedulers give a minute's notice; what was trained since the last checkpoint must not be lost."""
    long = ("--stages.images.steps", "100000", "--log.save-every", "50000")
    words = ("train", "debug", "--run", tmp_path, "--data.url", shards, "--processes", str(processes), *long)
    process = command(*words)
    metrics = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == EXIT_PREEMPTED, err
    (opening,) = (line for line in err.splitlines() if line.startswith("debug: "))
    layout = "1 process; cpu with " if processes == 1 else "2 processes: data 2; 2 x cpu with 1 thread;"
    assert opening.startswith(f"debug: {layout}")
    assert opening.endswith("; float32; 0.3M parameters; 100,012 steps")
    assert err.index(opening) < err.index('"step": ')
    done = metrics.read_text().count("\n")
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == [f"step-{done:08d}"]
