"""The doctor at the start of a job: an unfit machine ends the job before the devices of the others wait for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Sequence

from videoar.cluster.doctor.check import Asked
from videoar.cluster.doctor.doctor import examine, node, summary
from videoar.cluster.doctor.nodes import Gathering, compared, merged
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import World

_MEET_S = 600.0
"""Seconds in which all processes of a job must have started and examined their machines."""

log = logging.getLogger(__name__)


def examine_job(asked: Asked, world: World, limit_s: float = _MEET_S) -> Gathering | None:
    """Examine the machines of a job; Stopped, in one line that names machine, failure and remedy, if one fails.

    Every process of the job calls it. Keep the result until the processes have met again. Only process 0 writes.
    """
    if world.world_size == 1:
        _judge(list(examine(asked)), named=False)
        return None
    gathering, findings = examine_all(asked, world, limit_s)
    try:
        if world.is_first:
            _judge(findings, named=True)
    except Stopped as error:
        sys.stderr.write(f"{error}\n")  # before the others know and end: torchrun's agent then ends this process, too
        gathering.agree(False)
        sys.exit(1)
    if not gathering.agree(True if world.is_first else None):
        sys.exit(1)
    return gathering


def examine_all(asked: Asked, world: World, limit_s: float = _MEET_S) -> tuple[Gathering, list[Finding]]:
    """The processes, met, and on process 0 the findings of all machines; each then calls `agree`."""
    gathering = Gathering(world, limit_s)
    gathering.name()
    mine = list(examine(asked, ports=_ports(world))) if world.local_rank == 0 else None
    reports = gathering.reports(mine)
    return gathering, [*merged(reports), *compared(reports)] if reports else []


def _judge(findings: Sequence[Finding], *, named: bool) -> None:
    """Log one line if nothing fails."""
    broken = [finding for finding in findings if finding.state == "fail"]
    where = "" if named else f"{node()}: "
    if broken:
        lines = (f"{finding.name}: {finding.found}; {finding.remedy}" for finding in broken)
        raise Stopped(f"doctor: {where}{' · '.join(lines)}")
    log.info("doctor: %s%s", where, summary(findings))


def _ports(world: World) -> Collection[int]:
    """Where the processes of this job meet, which is on an interface that the other machines reach."""
    return (world.meeting()[1],) if not world.rendezvous.startswith("file://") else ()
