from __future__ import annotations

import sys

import pytest

from videoar.cluster.doctor import libraries
from videoar.cluster.doctor.libraries import Trial


def test_a_library_that_crashes_is_a_failing_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation has a version too; only using it shows that, and it must not end the doctor."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for distribution in ("megatron-core", "deepspeed"):
        found = libraries.step_of(distribution).finding()
        assert (found.name, found.state, found.found) == (distribution, "fail", "exit code 1")
        assert "videoar[train]" in found.remedy
    assert libraries.ray().finding().state == "fail"


def test_a_library_that_is_not_installed_is_a_remark_unless_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package alone generates: `doctor` there must not fail for extras that nobody asked for."""
    monkeypatch.setattr(libraries, "installed_version", lambda distribution: None)
    for tried, extra in (
        (libraries.step_of("deepspeed", needed=False), "train"),
        (libraries.ray(needed=False), "data"),
    ):
        found = tried.finding()
        assert (found.state, found.found, f"videoar[{extra}]" in found.remedy) == ("warn", "not installed", True)
    assert libraries.wandb().state == "warn"
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert libraries.step_of("deepspeed").finding().state == "fail"


def test_its_last_words_are_the_reason() -> None:
    code = "import sys; sys.exit('Traceback\\n[rank0]: computes another gradient than PyTorch')"
    found = Trial("deepspeed", "train", ["-c", code]).finding()
    assert (found.state, found.found) == ("fail", "computes another gradient than PyTorch")


def test_a_step_that_hangs_is_ended() -> None:
    """A GPU that has fallen off the bus never answers."""
    trial = Trial("deepspeed", "train", ["-c", "import time; time.sleep(600)"])
    found = trial.finding(limit_s=0.05)
    assert (found.state, "no step within" in found.found) == ("fail", True)
    trial.end()


def test_it_is_no_process_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun it would wait for the other processes of the job."""
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    code = "import os, sys; sys.exit('WORLD_SIZE' in os.environ or 'TORCHELASTIC_RUN_ID' in os.environ)"
    assert Trial("deepspeed", "train", ["-c", code]).finding().state == "ok"


def test_the_mode_of_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key itself is not shown."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    assert libraries.wandb().found.endswith(", online")
    monkeypatch.delenv("WANDB_API_KEY")
    assert libraries.wandb().found.endswith(", offline: no key")
