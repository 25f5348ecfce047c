"""The cost of scheduling per unit: a plan of many units, real actors, plans, commits and manifest, but no pixels."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.stored_plan import Plan, read_plan
from videoar.data_pipeline.preparing.prepare import DataProgress, prepare
from videoar.data_pipeline.preparing.worker import UnitResult
from videoar.data_pipeline.shards.commits import SHARDS, Commit, CommittedSample, CommittedTar, Unit, write_commit
from videoar.data_pipeline.shards.manifest import DATASET_KEY
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket, TokenizerSource

GOALS = {"units_per_s": 200.0, "growth_mib": 50.0, "restart_s": 30.0}
_CLIPS_A_UNIT = 4
_MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
_SAMPLE_BYTES = 1024


class CommitOnly:
    """Runs a unit by reading its clips from the plan and committing a tar that does not exist."""

    def __init__(self, config: DataConfig, output: str, tokenizer: VideoTokenizer, device: torch.device) -> None:
        self._output = Storage.open(output)
        self._plans: dict[str, Plan] = {}
        self.num_clips = 0

    def run(self, name: str, unit: Unit) -> UnitResult:
        """Commit every clip of the unit."""
        storage = self._output.child(name)
        if name not in self._plans:
            self._plans[name] = read_plan(storage)
        plan = self._plans[name]
        clips = plan.clips_of(unit)
        samples = tuple(CommittedSample(clip.key, i * _SAMPLE_BYTES, _SAMPLE_BYTES) for i, clip in enumerate(clips))
        sha256 = hashlib.sha256(unit.name.encode()).hexdigest()
        tar = CommittedTar(f"{SHARDS}/{unit.name}.tar", len(clips) * _SAMPLE_BYTES, sha256)
        commit = Commit(plan=plan.identity, tars=(tar,), samples=samples, failed={})
        write_commit(storage, unit, commit)
        self.num_clips += len(clips)
        return UnitResult.of(commit)


@dataclass(slots=True)
class _Watch:
    """Records time and resident memory of this process as units are done."""

    began: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    last: float = 0.0
    memory_mib: dict[str, float] = field(default_factory=dict)

    def __call__(self, now: DataProgress) -> None:
        self.last = time.perf_counter()
        self.first = self.first or self.last
        for mark in _MARKS:
            if now.num_units_done >= mark * now.num_units and f"{mark:.0%}" not in self.memory_mib:
                self.memory_mib[f"{mark:.0%}"] = _resident_mib()


def run(num_units: int = 24_000, actors: int = 2) -> dict[str, Any]:
    """Units scheduled per second, memory of the driver, and the time of a restart that finds all units done."""
    config = DataConfig(
        datasets=(
            DatasetConfig(
                name="units",
                source=SourceConfig(kind="shapes", num_clips=num_units * _CLIPS_A_UNIT),
                bucket=ClipBucket(schedule="32x32", num_frames=5),
            ),
        ),
        tokenizer=TokenizerSource(preset="tiny", latent_dim=16),
        samples_per_shard=_CLIPS_A_UNIT,
        actors=actors,
        latent="none",
    )
    with tempfile.TemporaryDirectory(prefix="videoar-bench-") as folder:
        watch = _Watch()
        prepare(config, folder, progress=watch, runner=CommitOnly)
        done = time.perf_counter()
        (Path(folder) / "units" / DATASET_KEY).unlink()
        began = time.perf_counter()
        prepare(config, folder, runner=CommitOnly)
        restart_s = time.perf_counter() - began
    memory = list(watch.memory_mib.values())
    return {
        "num_units": num_units,
        "actors": actors,
        "plan_s": watch.first - watch.began,
        "units_per_s": num_units / (watch.last - watch.first),
        "manifest_s": done - watch.last,
        "restart_s": restart_s,
        "memory_mib": watch.memory_mib,
        "growth_mib": max(memory) - memory[0],
        "goals": GOALS,
    }


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
