from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.submit.engine import State
from videoar.cluster.submit.record import Submitted
from videoar.cluster.submit.slurm.slurm import count_free
from videoar.cluster.submit.slurm.status import Row, code_of, status_of, together


@pytest.mark.parametrize(
    ("word", "code", "state"),
    [
        ("PENDING", None, "queued"),
        ("COMPLETING", 0, "running"),
        ("COMPLETED", 0, "done"),
        ("FAILED", 1, "failed"),
        ("FAILED", 75, "preempted"),
        ("CANCELLED by 0", 143, "cancelled"),
        ("CANCELLED+", 143, "cancelled"),
        ("TIMEOUT", 0, "failed"),
        ("NODE_FAIL", 0, "failed"),
        ("SOMETHING_NEW", None, "unknown"),
        ("", None, "unknown"),
    ],
)
def test_slurm_s_words(word: str, code: int | None, state: State) -> None:
    """A word of a later version is unknown, and never the end of a job: `logs --follow` would stop."""
    assert Row(job="1", word=word, code=code).state == state


def test_an_array_is_running_while_one_of_its_jobs_is() -> None:
    """Its exit code is the highest, once all have ended."""
    done, failed = Row(job="1_1", word="COMPLETED", code=0), Row(job="1_2", word="FAILED", code=2)
    waits = together([done, failed, Row(job="1_3", word="PENDING")])
    assert (waits.state, waits.exit_code, waits.has_ended) == ("queued", None, False)
    ended = together([done, failed])
    assert (ended.state, ended.exit_code, ended.code_for_caller) == ("failed", 2, 2)


@pytest.mark.parametrize("word", ["CANCELLED", "TIMEOUT"])
def test_what_did_not_finish_has_no_code_0(word: str) -> None:
    """Slurm notes 0:0 for a job that was cancelled: a script that reads it would go on as if it were done."""
    ended = together([Row(job="1", word=word, code=0)])
    assert (ended.exit_code, ended.code_for_caller) == (None, 1)


def test_codes_as_a_shell_has_them() -> None:
    """`0:9` is a job that was killed, and not one that is done."""
    assert (code_of("75:0"), code_of("0:9"), code_of("0:0"), code_of(""), code_of("x:y")) == (75, 137, 0, None, None)


SACCT = """#!/bin/bash
echo "7|CANCELLED by 0|0:15"
"""


@pytest.mark.parametrize(("program", "text", "state"), [("sacct", SACCT, "cancelled"), ("other", "", "unknown")])
def test_sources_that_are_missing_are_passed_over(
    program: str, text: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scontrol forgets a job after minutes, sacct is not everywhere, and squeue may be closed to users."""
    (tmp_path / program).write_text(text)
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin-without-slurm:/bin-without-slurm")
    (tmp_path / "bash").symlink_to("/bin/bash")
    monkeypatch.setattr("videoar.cluster.submit.slurm.status.is_there", lambda name: name == program)
    submitted = Submitted(
        engine="slurm", job="7", name="x", command=(), folder=str(tmp_path), jobs="jobs", logs=(), when=""
    )
    assert status_of(submitted).state == state


SINFO = """\
n1  idle   gpu:h200:8(S:0-1)  gpu:h200:0(IDX:N/A)
n2  mix    gpu:h200:8         gpu:h200:3(IDX:0-2)
n2  mix    gpu:h200:8         gpu:h200:3(IDX:0-2)
n3  down*  gpu:8              gpu:0
n4  drng   gpu:a:4,gpu:b:4    gpu:a:0,gpu:b:0
n5  idle   (null)             gpu:0
"""


def test_free_gpus_of_sinfo() -> None:
    """A machine is listed once per partition; those that are down or drained give nothing."""
    assert count_free(SINFO) == (13, 32)
