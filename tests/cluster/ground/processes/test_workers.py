from __future__ import annotations

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from videoar.cluster.ground.process import EXIT_LOST, EXIT_STOPPED
from videoar.cluster.ground.processes import workers as agent
from videoar.cluster.ground.processes.workers import _outcome, _patiently, _reach


def failure(rank: int, code: int) -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="/nonexistent")


@pytest.mark.parametrize(("codes", "code"), [((1, 2), 2), ((1, 75), 75), ((2, 75), 2), ((1, 1), 1), ((-9, -15), 1)])
def test_a_worker_s_own_exit_code_is_the_job_s(codes: tuple[int, ...], code: int) -> None:
    """torchrun makes 1 of every code: a scheduler would not resubmit what was preempted."""
    failed = ChildFailedError("videoar", {rank: failure(rank, one) for rank, one in enumerate(codes)})
    assert _outcome(failed, several=False) == code


@pytest.mark.parametrize(
    ("codes", "code"), [((1, 2), 2), ((1, 75), 75), ((1, 1), EXIT_LOST), ((-9, -15), EXIT_LOST), ((1, EXIT_STOPPED), 1)]
)
def test_several_machines_start_again_unless_the_run_stopped_itself(codes: tuple[int, ...], code: int) -> None:
    """A network that fails for a minute must not cost the job; a run that stops by its own rule would stop again."""
    failed = ChildFailedError("videoar", {rank: failure(rank, one) for rank, one in enumerate(codes)})
    assert _outcome(failed, several=True) == code


def test_the_first_machine_may_come_late(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The name of a pod is not known before it runs: the other machines wait, and say for whom."""
    monkeypatch.setattr(agent, "_POLL_S", 0.0)
    monkeypatch.setattr(agent, "_SILENT_S", -1.0)
    answers = [OSError("unknown name"), OSError("refused"), "10.0.0.2"]

    def attempt() -> str:
        if isinstance(answer := answers.pop(0), OSError):
            raise answer
        return answer

    assert _patiently(attempt, "first:29500") == "10.0.0.2"
    assert capsys.readouterr().err == "waiting for the first machine at first:29500\n"


def test_nobody_waits_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose first machine never comes gives the others back."""
    monkeypatch.setattr(agent, "MEETING_S", -1.0)
    with pytest.raises(ConnectionRefusedError):
        _patiently(lambda: _reach("127.0.0.1:1"), "127.0.0.1:1")
