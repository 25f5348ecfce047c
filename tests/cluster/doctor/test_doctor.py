from __future__ import annotations

import pytest

from videoar.cluster.doctor.check import ALL, Asked, failed, ok, warned
from videoar.cluster.doctor.doctor import examine, summary


@pytest.mark.slow
def test_the_doctor_looks_at_the_machine() -> None:
    """A machine that runs these tests has no failing line; what is not in order has a remedy."""
    begun = list[str]()
    findings = list(examine(Asked(groups=ALL - {"clients"}), on_start=begun.append))
    assert [finding.name for finding in findings] == begun
    assert not [finding for finding in findings if finding.state == "fail" and finding.name != "open ports"]
    assert all(finding.remedy for finding in findings if finding.state != "ok")
    steps = {finding.name: finding.figures for finding in findings if finding.name in ("megatron-core", "deepspeed")}
    assert all(figures["device"] and figures["communication"] for figures in steps.values())
    assert len(steps) == 2


def test_only_what_is_asked_for_is_checked() -> None:
    """A job on a compute node needs no client of its scheduler, and data no engine."""
    names = [finding.name for finding in examine(Asked(groups=frozenset({"machine"})))]
    assert {"torch", "disk", "processes"} <= set(names)
    assert not {"Slurm", "Ray cluster", "megatron-core", "ray", "attention", "storage"} & set(names)


def test_a_line_about_all() -> None:
    found = [ok("a", ""), ok("b", ""), warned("c", "", ""), failed("d", "", ""), failed("d", "", "")]
    assert summary(found) == "2 ok, 1 warn (c), 2 fail (d)"
