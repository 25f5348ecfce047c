"""The scripts that `videoar submit --dry-run` prints, letter by letter: a change of one must be seen in review."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.submit.job import Job
from videoar.cluster.submit.slurm.script import script
from videoar.cluster.submit.variables import Variable

GOLDEN = Path(__file__).parents[3] / "golden" / "slurm"
TRAIN = [
    "t2v_4b@64",
    "--nodes",
    "8",
    "--gpus",
    "8",
    "--gpu",
    "h200",
    "--cpus",
    "96",
    "--time",
    "2d",
    "--run",
    "/shared/4b",
]
QUEUE = ["--partition", "h200", "--account", "video", "--qos", "high", "--flags", "exclusive", "mem=0"]
SECRETS = ["--env", "WANDB_API_KEY", "HF_TOKEN=@/shared/.hf token", "NCCL_DEBUG=WARN"]
CASES = {
    "train": [*TRAIN, *QUEUE, *SECRETS, "--doctor", "--venv", "/shared/venv"],
    "pyxis": [*TRAIN, "--image", "registry.example#lab/videoar:0.1"],
    "apptainer": [*TRAIN, "--image", "/shared/images/videoar.sif", "--doctor", "--requeues", "0"],
    "data_array": ["debug", "--command", "data run", "--array", "16", "--output", "s3://bucket/shards", "--venv", "v"],
    "evaluate_array": [
        "weights/l",
        "videos/l",
        "--command",
        "evaluate class-samples",
        "--array",
        "8",
        "--gpus",
        "1",
        "--time",
        "4h",
        "--total",
        "2048",
        "--venv",
        "v",
    ],
    "tokenizer": ["tokenizer_ucf101", "--command", "tokenizer train", "--nodes", "2", "--gpus", "8", "--venv", "v"],
}


@pytest.mark.parametrize("name", CASES)
def test_the_script_is_the_golden_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To accept a change, run with WRITE_GOLDEN=1 and read the difference."""
    monkeypatch.chdir(tmp_path)
    assert main(["submit", *CASES[name], "--to", "slurm", "--dry-run"]) == 0
    text = capsys.readouterr().out.replace(str(tmp_path), "/shared/work")
    golden = GOLDEN / f"{name}.sh"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_accepts_the_scripts() -> None:
    """A quote that is missing shows when a path has a space, on the night of the deadline."""
    files = sorted(GOLDEN.glob("*.sh"))
    assert len(files) == len(CASES)
    checked = subprocess.run(["shellcheck", "--shell=bash", "--severity=style", *files], capture_output=True, text=True)
    assert not checked.stdout


HOSTILE = [
    "a b",
    "it's",
    'say "x"',
    "$(touch broken)",
    "`touch broken`",
    "a;touch broken",
    "\\",
    "*",
    "{{command}}",
    "é",
    "--x",
]


def test_hostile_words_reach_the_command_as_they_are(tmp_path: Path) -> None:
    """What a person names must not run: not from a path, an option or a variable."""
    folder = tmp_path / 'it\'s $(touch broken) "here"'
    (folder / "jobs").mkdir(parents=True)
    python = folder / "bin" / "py thon"
    python.parent.mkdir()
    python.write_text('#!/bin/bash\nprintf "%s\\n" "${@:4}" "$A"\nexit 3\n')
    python.chmod(0o755)
    value = "$(touch broken) 'x' \"y\""
    job = Job(
        name="hostile",
        command="data text",
        words=tuple(HOSTILE),
        folder=folder,
        python=str(python),
        environment=(Variable.of(f"A={value}"),),
    )
    environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "7"}
    ran = subprocess.run(
        ["bash", "-c", script(job, "x.sh")], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.stdout.splitlines() == ["text", *HOSTILE, value]
    assert ran.returncode == 3
    assert not list(tmp_path.rglob("broken"))
    assert (folder / "jobs" / "7.code").read_text() == "3\n"


def test_words_are_quoted_for_every_shell_on_the_way() -> None:
    """srun and apptainer take words, not text: one more level of quotes would be needed if they took text."""
    job = Job(
        name="x",
        command="train",
        words=("debug", "--run", "a b"),
        folder=Path("/a b"),
        image="i.sif",
        container="apptainer",
    )
    (line,) = [line for line in script(job, "x.sh").splitlines() if line.startswith("command=")]
    words = shlex.split(line.removeprefix("command=(").removesuffix(")"))
    assert words[:6] == ["apptainer", "exec", "--bind", "/a b", "--pwd", "/a b"]
    assert words[-3:] == ["debug", "--run", "a b"]
