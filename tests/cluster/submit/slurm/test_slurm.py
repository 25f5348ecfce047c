"""`videoar submit` on a real Slurm. The interpreter of the job is a shell script, so that each test takes a second."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from videoar.cluster.entry import main

from ....slurm_cluster import SlurmCluster, missing

pytestmark = pytest.mark.slow

Submit = Callable[..., str]


@pytest.fixture
def job(slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Submit:
    return _submitter(tmp_path, capsys)


def _submitter(folder: Path, capsys: pytest.CaptureFixture[str]) -> Submit:
    """Submits a command whose interpreter runs these lines of bash; returns the job's number."""

    def submit(lines: str, *words: str, code: int = 0) -> str:
        python = folder / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!/bin/bash\n{lines}\n")
        python.chmod(0o755)
        (folder / "jobs").mkdir(exist_ok=True)
        assert main(["submit", "debug", "--to", "slurm", "--venv", "venv", *words]) == code
        return capsys.readouterr().out.strip()

    return submit


def status(job: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["status", job, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_job_from_its_checks_to_its_exit_code(job: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    """The caller of --wait gets the job's own code; a failure is not queued again."""
    number = job('echo "words: $*"; exit 3', "--run", "runs/a b", "--wait", code=3)
    found = status(number, capsys)
    assert (found["state"], found["exit_code"]) == ("failed", 3)
    assert "queued again" not in str(found["detail"])
    assert main(["logs", number, "--follow"]) == 0
    assert capsys.readouterr().out.count("words: -m videoar.cluster.entry train debug --run runs/a b\n") == 1


@pytest.mark.drill
@pytest.mark.parametrize("code", [1, 2])
def test_other_codes_are_not_queued_again(code: int, job: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong field (2) or a failure (1) that is queued again fails a hundred times, on a hundred GPUs."""
    number = job(f"exit {code}", "--wait", code=code)
    assert status(number, capsys)["state"] == "failed"


SAVES = """
echo "start on $SLURM_NODEID"
if [ -e saved ]; then echo resumed; exit 0; fi
trap 'echo told; stop=1' USR1
: >"began.$SLURM_NODEID"
until [ "${stop:-}" ]; do sleep 0.1; done
[ "$SLURM_NODEID" -eq 0 ] || sleep 2  # the other machine is still saving
: >saved
exit 75
"""


@pytest.fixture(params=["", pytest.param("RequeueExit=75", marks=pytest.mark.drill)], ids=["plain", "RequeueExit"])
def either(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SlurmCluster]:
    """A cluster whose administrator has set RequeueExit, and one whose administrator has not."""
    if not request.param:
        yield request.getfixturevalue("slurm")
        return
    if reason := missing():
        pytest.skip(reason)
    cluster = SlurmCluster(request.param)
    try:
        cluster.start()
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        monkeypatch.chdir(tmp_path)
        yield cluster
    finally:
        cluster.stop()


def test_a_job_that_saves_is_queued_again(
    either: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal reaches every machine, and each may save to its end; then 75 is queued again, once."""
    number = _submitter(tmp_path, capsys)(SAVES, "--nodes", "2", "--parallel.tensor", "2")
    either.wait_for(lambda: all((tmp_path / f"began.{node}").exists() for node in (0, 1)))
    either.ask("scancel", "--batch", "--signal=USR1", number)
    either.wait_for(lambda: status(number, capsys)["state"] == "queued")
    assert main(["logs", number]) == 0
    assert capsys.readouterr().err == f"{number} is queued: it writes when it starts\n"
    either.start_now(number)
    assert main(["logs", number, "--follow"]) == 0
    log = capsys.readouterr().out.splitlines()
    assert sorted(line for line in log if line.startswith(("start", "told", "resumed"))) == [
        *("resumed", "resumed", "start on 0", "start on 0", "start on 1", "start on 1", "told", "told")
    ]
    found = status(number, capsys)
    assert (found["state"], found["exit_code"]) == ("done", 0)
    assert "queued again once" in str(found["detail"])
    assert (tmp_path / "jobs" / f"{number}.code").read_text() == "0\n"


@pytest.mark.drill
def test_the_limit_of_requeues(either: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A job that saves and never ends would be queued for ever, by the script or by RequeueExit."""
    number = _submitter(tmp_path, capsys)("exit 75", "--requeues", "0", "--wait", code=75)
    found = status(number, capsys)
    assert (found["state"], found["exit_code"]) == ("preempted", 75)
    assert (
        "not queued again (0 times at most): submit it again"
        in (tmp_path / "jobs" / f"debug-train-{number}.log").read_text()
    )


def test_a_machine_that_fails_is_not_hidden_by_one_that_saves(job: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    """srun returns the highest code, and 75 is above 1: the failure was queued again and again."""
    fails = "until [ -e began ]; do sleep 0.1; done; exit 1"  # once the other can hear a signal
    saves = "trap 'exit 75' TERM USR1; : >began; for _ in {1..300}; do sleep 0.1; done"
    lines = f'if [ "$SLURM_NODEID" -eq 1 ]; then {fails}; fi; {saves}'
    number = job(lines, "--nodes", "2", "--parallel.tensor", "2", "--wait", code=1)
    assert status(number, capsys)["state"] == "failed"


@pytest.mark.drill
def test_a_machine_that_goes_down(
    job: Submit, slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead machine is the cluster's fault: the job is queued again, as it is."""
    lines = 'echo "start"; : >"began.$SLURM_NODEID"; [ -e down ] || sleep 60'
    number = job(lines, "--nodes", "2", "--parallel.tensor", "2")
    slurm.wait_for(lambda: all((tmp_path / f"began.{node}").exists() for node in (0, 1)))
    (tmp_path / "down").touch()
    slurm.ask("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    slurm.wait_for(lambda: "Restarts=1" in slurm.ask("scontrol", "show", "job", number))
    slurm.ask("scontrol", "update", "nodename=n2", "state=resume")
    slurm.start_now(number)
    slurm.wait_for(lambda: status(number, capsys)["state"] == "done")
    assert "queued again once" in str(status(number, capsys)["detail"])


@pytest.mark.parametrize("ends", ["videoar", "scancel"])
def test_cancel(
    ends: str, job: Submit, slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that saves when it is cancelled must not come back: Slurm queues again what is still completing."""
    number = job("trap 'exit 75' TERM USR1; : >began; for _ in {1..600}; do sleep 0.1; done")
    slurm.wait_for((tmp_path / "began").exists)
    assert status(number, capsys)["state"] == "running"
    if ends == "videoar":
        assert main(["cancel", number]) == 0
    else:
        slurm.ask("scancel", number)
    slurm.wait_for((tmp_path / "jobs" / f"{number}.code").exists)
    slurm.wait_for(lambda: status(number, capsys)["state"] != "running")
    found = status(number, capsys)
    assert found["state"] == "cancelled"
    assert found["exit_code"] != 0
    log = (tmp_path / "jobs" / f"debug-train-{number}.log").read_text()
    assert "saved, and cancelled: submit the same command again to resume" in log
    assert "not queued again" not in log


def test_an_array_shares_the_work(
    job: Submit, slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each job of the array makes its own part; one status, one log command and one exit code for all."""
    (tmp_path / "out").mkdir()
    lines = 'echo "${@: -2}"; [ "$SLURM_ARRAY_TASK_ID" -ne 2 ] || exit 1'
    words = ("--command", "data run", "--array", "3", "--output", "out", "--unchecked", "--wait")
    number = job(lines, *words, code=1)
    found = status(number, capsys)
    assert (found["state"], found["exit_code"]) == ("failed", 1)
    assert found["tasks"] == {f"{number}_1": "done", f"{number}_2": "failed", f"{number}_3": "done"}
    assert main(["logs", number]) == 0
    assert capsys.readouterr().out.splitlines() == ["--part 1/3", "--part 2/3", "--part 3/3"]
    assert sorted(path.name for path in (tmp_path / "jobs").glob("*.code")) == [f"{number}_{n}.code" for n in (1, 2, 3)]


def test_what_the_cluster_would_refuse_is_not_sent(
    slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong partition is found before anything is written, and says what sbatch says."""
    assert main(["submit", "debug", "--to", "slurm", "--partition", "gpu"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("partition=gpu: is refused by sbatch (invalid partition specified: gpu; ")
    assert not list(tmp_path.iterdir())


@pytest.mark.drill
def test_free_gpus_are_counted(
    job: Submit, slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first question before a job is sent: would it wait?"""
    number = job(": >began; sleep 60", "--gpus", "2")
    slurm.wait_for((tmp_path / "began").exists)
    assert (
        main(
            [
                "submit",
                "debug",
                "--to",
                "slurm",
                "--gpus",
                "2",
                "--nodes",
                "2",
                "--parallel.tensor",
                "2",
                "--venv",
                "venv",
            ]
        )
        == 0
    )
    waiting, errors = capsys.readouterr()
    assert "warn  free GPUs       2 of 4 are free now, 4 are asked for" in errors
    assert main(["cancel", number]) == main(["cancel", waiting.strip()]) == 0


def test_secrets_come_from_the_shell_and_files(
    job: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They reach the job, and no file that is left behind."""
    monkeypatch.setenv("WANDB_API_KEY", "canary-of-the-shell")
    (tmp_path / "token").write_text("canary-of-the-file\n")
    lines = '[ "$WANDB_API_KEY$HF_TOKEN$A" = "canary-of-the-shellcanary-of-the-filea b" ]'
    job(lines, "--env", "WANDB_API_KEY", "HF_TOKEN=@token", "A=a b", "--wait")
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "python" and path.name != "token"]
    assert len(left) == 4
    assert not [path for path in left if "canary" in path.read_text()]


@pytest.mark.drill
def test_slurm_forgets_and_the_script_remembers(
    job: Submit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minutes after its end, without accounting, nobody else knows how a job ended."""
    number = job("exit 0", "--wait")
    monkeypatch.setenv("PATH", os.path.dirname(os.__file__))  # no scontrol, squeue or sacct
    found = status(number, capsys)
    assert (found["state"], found["exit_code"]) == ("done", 0)


def test_a_folder_with_a_hostile_name(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What means something to bash: the log and the files must be where they belong."""
    folder = tmp_path / 'it\'s $(touch broken) "x"'
    folder.mkdir()
    monkeypatch.chdir(folder)
    number = _submitter(folder, capsys)('echo "$PWD"', "--wait")
    assert (folder / "jobs" / f"debug-train-{number}.log").read_text() == f"{folder}\n"
    assert not list(tmp_path.rglob("broken"))
