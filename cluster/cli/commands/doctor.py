"""`videoar doctor`: check what this machine can do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.output import say_finding
from videoar.cluster.ground.fields.limits import Limits
from videoar.cluster.ground.finding import Finding

if TYPE_CHECKING:
    from videoar.cluster.doctor.check import Asked
    from videoar.cluster.ground.process import World


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check what this machine can do: each line is ok, warn or fail, with the remedy. Exit code 1 if anything fails.

    It computes attention, a step of Megatron-core, a step of DeepSpeed and a decoded clip, and compares each with the
    right result. Under torchrun or srun the first process of each machine examines it, and one report names the
    machines.
    `videoar train RECIPE --doctor` does the same at the start of a job.
    """

    store: Annotated[str | None, arg(metavar="URL")] = None
    """Folder or fsspec URL for shards or checkpoints: the check writes, reads and removes one object there, and
    compares the clock with that of the store."""
    gpus: Annotated[int, Limits(0, 1024)] = 0
    """Number of GPUs that must be visible on this machine; fewer are a failure."""
    quick: bool = False
    """Skip the checks that take seconds: the steps of Megatron-core and DeepSpeed, attention, Ray and the decoder."""
    json: bool = False
    """Print each line as a JSON object, for scripts."""


def doctor(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.doctor.check import ALL, Asked
    from videoar.cluster.doctor.doctor import examine
    from videoar.cluster.ground.process import World

    options, world = parse(Doctor, words, prog), World.here()
    groups = ALL - {"attention", "engines", "data"} if options.quick else ALL
    asked = Asked(url=options.store or "", gpus=options.gpus, folder=Path.cwd(), groups=groups, extras_needed=False)
    if world.world_size > 1:
        return _together(asked, world, options.json)
    failed = False
    for finding in examine(asked, on_start=_announce):
        _show(finding, options.json)
        failed |= finding.state == "fail"
    return int(failed)


def _together(asked: Asked, world: World, json: bool) -> int:
    """One report about the machines of all processes."""
    from videoar.cluster.doctor.job import examine_all

    gathering, findings = examine_all(asked, world)
    for finding in findings:
        _show(finding, json)
    passed = not any(finding.state == "fail" for finding in findings)
    return int(not gathering.agree(passed if world.is_first else None))


def _announce(name: str) -> None:
    """On a terminal, show which check is running, until its result replaces the line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K...   {name}")
        sys.stderr.flush()


def _show(finding: Finding, json: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
    say_finding(finding, asked_json=json)
