from __future__ import annotations

import sys

import pytest

from videoar.cluster.doctor import doctor
from videoar.cluster.doctor.doctor import DECODERS, examine
from videoar.cluster.ground.errors import Stopped


@pytest.mark.slow
def test_the_doctor_looks_at_the_machine() -> None:
    """A machine that runs these tests has no failing line; what is not in order has a remedy."""
    findings = examine()
    assert not [finding for finding in findings if finding.state == "fail"]
    assert all(finding.remedy for finding in findings if finding.state != "ok")
    assert any(DECODERS[0] in finding.found for finding in findings)


def test_a_library_that_crashes_is_a_failing_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation has a version too; only importing it shows that, and it must not end the doctor."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = doctor.deepspeed()
    assert (found.name, found.state, found.found) == ("deepspeed", "fail", "exit code 1")
    assert ".[train]" in found.remedy


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray fails with a message about sockets when the limit is low; the remedy is another one."""
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda kind: (256, 4096))
    found = doctor.open_files()
    assert (found.state, found.found, found.remedy) == ("warn", "limit 256 (at most 4096)", "ulimit -n 65536")


def test_a_machine_without_loopback_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray and torchrun's agent wait for minutes there before they fail."""

    def refuse() -> None:
        raise Stopped("127.0.0.1 cannot be reached; start it")

    assert doctor.loopback().state == "ok"
    monkeypatch.setattr(doctor, "check_loopback", refuse)
    found = doctor.loopback()
    assert (found.state, found.found, found.remedy) == ("fail", "127.0.0.1 cannot be reached", "start it")
