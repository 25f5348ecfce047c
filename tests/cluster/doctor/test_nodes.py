"""The report of several machines."""

from __future__ import annotations

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.doctor.nodes import Report, compared, merged
from videoar.cluster.ground.finding import Finding


def report(node: str, *findings: Finding, time: float = 1000.0) -> Report:
    return Report(node, findings, time)


def test_a_machine_that_differs_is_named() -> None:
    """Of a thousand machines one is broken: somebody must find out which."""
    good, bad = ok("disk", "9 GiB free"), failed("disk", "0 GiB free", "free some")
    lines = merged([report("a", good), report("b", bad), report("c", good), report("d", bad)])
    assert [(line.state, line.found) for line in lines] == [
        ("ok", "a: 9 GiB free (and 1 more)"),
        ("fail", "b: 0 GiB free (and 1 more: d)"),
    ]
    assert merged([report("a", good)]) == [good]


def test_clocks_that_differ() -> None:
    """The hang watch compares times of machines: it would blame and kill the wrong process."""
    for off_s, state in ((0.2, "ok"), (-3.0, "warn"), (60.0, "fail")):
        clocks, _ = compared([report("a"), report("b", time=1000.0 + off_s), report("c")])
        assert clocks.state == state
    assert clocks.found == "b is 60.0 s ahead"
    assert compared([report("a")]) == []


def test_a_machine_without_its_gpus() -> None:
    """Its driver failed: it would train on the CPU, and all others would wait for it."""
    seen = [report(name, ok("GPUs", "", seen=count)) for name, count in (("a", 8), ("b", 0), ("c", 8))]
    assert (compared(seen)[1].state, compared(seen)[1].found) == ("fail", "b has 0, others have 8")
    assert compared([seen[0], seen[2]])[1].state == "ok"
    assert compared([report("a", warned("torch", "", "")), report("b")])[1].state == "ok"
