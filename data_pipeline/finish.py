"""The last step of a dataset: the manifest, from the plan and its commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import to_dict
from videoar.data_pipeline.clip import SampleEntry
from videoar.data_pipeline.clips import Clip
from videoar.data_pipeline.commits import Commit, Unit, committed_units, read_commits, remaining_units
from videoar.data_pipeline.config import DatasetConfig
from videoar.data_pipeline.manifest import DATASET_KEY, read_dataset, sample_entry, write_manifest
from videoar.data_pipeline.payload import SampleFormat
from videoar.data_pipeline.plan import summary
from videoar.data_pipeline.plan_table import Plan
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer.config import TokenizerSource


def is_finished(storage: Storage, plan: Plan) -> bool:
    """Whether the manifest of this very plan is written."""
    return storage.exists(DATASET_KEY) and read_dataset(storage).get("plan_hash") == plan.hash


def finish_dataset(
    storage: Storage, dataset: DatasetConfig, layout: SampleFormat, plan: Plan, tokenizer: TokenizerSource
) -> bool:
    """Write the manifest from the commits, one after another; True when it is there.

    False where a unit has no commit after all: stores may go on listing what is gone. The rest is to be made first.
    """
    if is_finished(storage, plan):
        return True
    committed = committed_units(storage, plan.shard_sizes)
    if next(remaining_units(plan.shard_sizes, committed), None) is not None:
        return False
    tally = Tally()
    facts: dict[str, Any] = {"tokenizer": to_dict(tokenizer)}
    try:
        write_manifest(storage, dataset.name, layout, _entries(storage, dataset, plan, committed, tally, facts), facts)
    except _Gone:
        return False
    return True


@dataclass(slots=True)
class Tally:
    """Counts over commits that pass by."""

    num_samples: int = 0
    size_bytes: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Clips by reason."""

    def add(self, commit: Commit) -> None:
        """Count one more."""
        self.num_samples += len(commit.samples)
        self.size_bytes += commit.size_bytes
        self.failed.update(commit.failed.values())


def standing_commits(storage: Storage, plan: Plan) -> Iterator[tuple[Unit, Commit]]:
    """The commits that count, in the plan's order, one after another."""
    for unit, commit in read_commits(storage, committed_units(storage, plan.shard_sizes)):
        if commit is not None:
            yield unit, commit


class _Gone(Exception):
    """A commit was listed and cannot be read."""


def _entries(
    storage: Storage, dataset: DatasetConfig, plan: Plan, units: Sequence[Unit], tally: Tally, facts: dict[str, Any]
) -> Iterator[SampleEntry]:
    """The samples in the plan's order; the facts of the dataset are known, and told, at the end."""
    for unit, commit in read_commits(storage, units):
        if commit is None:
            raise _Gone
        clips = {clip.key: clip for clip in plan.shard(unit.shard)[unit.start : unit.stop]}
        _check_commit(plan, unit, commit, clips)
        tally.add(commit)
        yield from _samples(dataset, commit, clips)
    if not tally.num_samples:
        raise InputError(
            f"{dataset.name}.source.path", dataset.source.path, f"gives no sample: {summary(tally.failed)}",
            "repair the clips and choose another output",
        )  # fmt: skip
    facts |= {
        "config": to_dict(dataset),
        "config_hash": plan.config_hash,
        "plan_hash": plan.hash,
        "num_failed": tally.failed.total(),
        "failed": dict(tally.failed.most_common()),
        "num_skipped": plan.num_skipped,
        "size_bytes": tally.size_bytes,
    }


def _samples(dataset: DatasetConfig, commit: Commit, clips: Mapping[str, Clip]) -> Iterator[SampleEntry]:
    shards = [tar.key for tar in commit.tars]
    for sample in commit.samples:
        yield sample_entry(
            dataset.name, clips[sample.key], shard=shards[0], offset=sample.offset, size_bytes=sample.size_bytes,
            latent_shard=shards[1] if shards[1:] else None, latent_offset=sample.latent_offset,
            latent_bytes=sample.latent_bytes,
        )  # fmt: skip


def _check_commit(plan: Plan, unit: Unit, commit: Commit, clips: Mapping[str, Clip]) -> None:
    """Every clip of a unit is a sample or a failure, once, and was made under this plan."""
    if commit.config_hash != plan.config_hash:
        raise InputError(
            "output", unit.commit_key, f"was made with settings {commit.config_hash}, the plan with {plan.config_hash}",
            "choose another output",
        )  # fmt: skip
    keys = [sample.key for sample in commit.samples] + list(commit.failed)
    if not len(keys) == len(clips) == len(clips.keys() & set(keys)):
        raise InputError(
            "output", unit.commit_key, "tells of other clips than the plan has there: it was made for another plan",
            "choose another output",
        )  # fmt: skip
