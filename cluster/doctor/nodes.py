"""The machines of a job: each is examined by its first process, and process 0 reports them together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.doctor.doctor import node
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import World
from videoar.pretrain.parallel.rendezvous import meet

MISJUDGED_S, NOTICED_S = 10.0, 1.0
"""The hang watch compares times of all machines: from about ten seconds on it blames the wrong process."""
_POLL_S = 0.01
_SEVERITY = ("ok", "skip", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found on one machine, and its time when process 0 asked."""

    node: str
    findings: tuple[Finding, ...]
    time: float


class Gathering:
    """The processes of a job, met. Keep it until they meet again: process 0 may be the one that listens."""

    def __init__(self, world: World, limit_s: float) -> None:
        self._world, self._limit_s = world, limit_s
        self._store = meet(world, limit_s)

    def reports(self, found: Sequence[Finding] | None) -> list[Report]:
        """Every machine's findings on process 0, nothing on the others. A process that examined nothing passes None."""
        world = self._world
        lines = None if found is None else [asdict(finding) for finding in found]
        self._store.set(f"found {world.rank}", json.dumps(lines))
        if not world.is_first:
            _wait(lambda: self._store.check(["asked"]), self._limit_s)
            self._store.set(f"time {world.rank}", str(time.time()))
            return []
        everyone = range(world.world_size)
        _wait(lambda: self._store.check([f"found {rank}" for rank in everyone]), self._limit_s)
        self._store.set("asked", "")
        self._store.set("time 0", str(time.time()))
        _wait(lambda: self._store.check([f"time {rank}" for rank in everyone]), self._limit_s)
        return [report for rank in everyone if (report := self._report(rank)) is not None]

    def agree(self, passed: bool | None) -> bool:
        """Process 0's verdict, on every process; the others give None."""
        if passed is not None:
            self._store.set("verdict", str(passed))
        _wait(lambda: self._store.check(["verdict"]), self._limit_s)
        verdict = self._store.get("verdict") == b"True"
        self._store.add("left", 1)
        if self._world.is_first:  # it keeps the store: the others must have read it
            _wait(lambda: self._store.add("left", 0) >= self._world.world_size, self._limit_s)
        return verdict

    def name(self) -> None:
        """Say on which machine this process is."""
        self._store.set(f"node {self._world.rank}", node())

    def _report(self, rank: int) -> Report | None:
        lines = json.loads(self._store.get(f"found {rank}"))
        if lines is None:
            return None
        name, seconds = self._store.get(f"node {rank}").decode(), float(self._store.get(f"time {rank}"))
        return Report(name, tuple(Finding(**line) for line in lines), seconds)


def merged(reports: Sequence[Report]) -> list[Finding]:
    """One finding for each check and state: that of the first machine, and how many others have the same state."""
    if len(reports) == 1:
        return list(reports[0].findings)
    groups: dict[str, dict[str, list[tuple[str, Finding]]]] = {}
    for report in reports:
        for finding in report.findings:
            groups.setdefault(finding.name, {}).setdefault(finding.state, []).append((report.node, finding))
    return [
        _together(members)
        for states in groups.values()
        for _, members in sorted(states.items(), key=lambda one: _SEVERITY.index(one[0]))
    ]


def compared(reports: Sequence[Report]) -> list[Finding]:
    """What only shows between machines: clocks that differ, and GPUs that some lack."""
    return [_clocks({one.node: one.time for one in reports}), _gpus(reports)] if len(reports) > 1 else []


def _together(members: Sequence[tuple[str, Finding]]) -> Finding:
    name, shown = members[0]
    others = len(members) - 1
    names = ", ".join(one for one, _ in members[1:4]) + (", ..." if others > 3 else "")
    also = "" if not others else f" (and {others} more: {names})" if shown.state != "ok" else f" (and {others} more)"
    figures = {"nodes": {one: dict(finding.figures) for one, finding in members}}
    return replace(shown, found=f"{name}: {shown.found}{also}", figures=figures)


def _clocks(times: Mapping[str, float]) -> Finding:
    """Compares the clocks of the machines, read within some hundredths of a second."""
    middle = sorted(times.values())[len(times) // 2]
    off = {name: seconds - middle for name, seconds in times.items()}
    name = max(off, key=lambda one: abs(off[one]))
    found, figures = f"{name} is {abs(off[name]):.1f} s {'ahead' if off[name] > 0 else 'behind'}", {"off_s": off}
    remedy = "synchronise it: `chronyc makestep`"
    if abs(off[name]) > MISJUDGED_S:
        return failed("clocks", found, remedy, **figures)
    if abs(off[name]) > NOTICED_S:
        return warned("clocks", found, remedy, **figures)
    return ok("clocks", f"within {NOTICED_S:.0f} s of each other", **figures)


def _gpus(reports: Sequence[Report]) -> Finding:
    """A machine whose driver failed would train on its CPUs, and all others would wait for it."""
    seen = {one.node: _seen(one.findings) for one in reports}
    most = max(seen.values())
    fewer = [f"{name} has {count}" for name, count in seen.items() if count < most]
    if not fewer:
        return ok("GPUs of all", f"{most} on each of {len(seen)} machines", seen=seen)
    found = f"{', '.join(fewer[:4])}, others have {most}"
    return failed("GPUs of all", found, "leave them out, or reload their driver", seen=seen)


def _seen(findings: Iterable[Finding]) -> int:
    return next((int(one.figures["seen"]) for one in findings if one.name == "GPUs" and "seen" in one.figures), 0)


def _wait(is_over: Callable[[], bool], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not is_over():
        if time.monotonic() > until:
            raise Stopped(f"doctor: a process of the job has not answered within {limit_s:g} s; see what it reported")
        time.sleep(_POLL_S)
