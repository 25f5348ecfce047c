"""Checks of libraries: each is imported and does a step in its own process, because a broken one may crash or hang."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.extras import install
from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.process import variable, without_job
from videoar.cluster.ground.versions import installed_version

STEP_S = 300.0
"""Seconds that a step of Megatron-core or DeepSpeed, and the import before it, may take on a busy machine."""


def version(distribution: str) -> str:
    """Its version, or `absent`."""
    return installed_version(distribution) or "absent"


class Trial:
    """A process that tries a library, started at once; other checks are made meanwhile."""

    def __init__(self, distribution: str, extra: str, words: Sequence[str]) -> None:
        self._distribution, self._extra, self._begun = distribution, extra, time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"OMP_NUM_THREADS": "1", **without_job()},
        )

    def finding(self, limit_s: float = STEP_S) -> Finding:
        """Wait until the process ends; what it found."""
        name = self._distribution
        try:
            said, complained = self._process.communicate(timeout=max(0.0, self._begun + limit_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.end()
            return failed(
                name, f"{version(name)}: no step within {limit_s:.0f} s", "look at the GPU and the CPU's load"
            )
        if self._process.returncode:
            lines = complained.strip().splitlines() or [f"exit code {self._process.returncode}"]
            return failed(name, lines[-1].removeprefix("[rank0]: ")[:160], install(self._extra))
        facts = json.loads(said.strip().splitlines()[-1]) if said.strip() else {}
        took = time.monotonic() - self._begun
        step = f": a step on {facts['device']}, as PyTorch computes it ({facts['communication']})" if facts else ""
        return ok(name, version(name) + step, seconds=took, **facts)

    def end(self) -> None:
        """Kill the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Absent:
    """A library of an extra that is not installed: there is nothing to try."""

    distribution: str
    extra: str
    use: str
    """What needs it."""

    def finding(self) -> Finding:
        """A warning that names what to install, and for what."""
        return warned(self.distribution, "not installed", f"only {self.use} needs it; {install(self.extra)}")

    def end(self) -> None:
        """Nothing runs."""


def step_of(distribution: str, *, needed: bool = True) -> Trial | Absent:
    """A step of Megatron-core or DeepSpeed, needed to train in several processes, or under ZeRO in one.

    If it is not `needed`, a missing library is only a warning.
    """
    if not needed and installed_version(distribution) is None:
        return Absent(distribution, "train", "training in several processes or under ZeRO")
    return Trial(distribution, "train", ["-m", "videoar.pretrain.parallel.selfcheck", distribution])


def ray(*, needed: bool = True) -> Trial | Absent:
    """The import of Ray, needed by `videoar data run`."""
    if not needed and installed_version("ray") is None:
        return Absent("ray", "data", "preparing data")
    return Trial("ray", "data", ["-c", "import ray"])


def wandb() -> Finding:
    """The mode that log.wandb=online would use; the key itself is not shown."""
    if installed_version("wandb") is None:
        return Absent("wandb", "train", "log.wandb").finding()
    mode = variable("WANDB_MODE") or ("online" if variable("WANDB_API_KEY") else "offline: no key")
    return ok("wandb", f"{version('wandb')}, {mode}")
