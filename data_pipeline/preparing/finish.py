"""The last step of a dataset: the manifest, from the plan and its commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_dict
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.encoding.encode import sample_entry
from videoar.data_pipeline.planning.choose import summary
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.stored_plan import Plan
from videoar.data_pipeline.shards.commits import (
    Commit,
    CommittedTar,
    Unit,
    committed_units,
    read_commits,
    remaining_units,
)
from videoar.data_pipeline.shards.manifest import DATASET_KEY, ManifestWriter, read_dataset
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import TokenizerSource


def is_finished(storage: Storage, plan: Plan) -> bool:
    """Whether the manifest of this plan exists."""
    if not storage.exists(DATASET_KEY):
        return False
    described = read_dataset(storage)
    return described.get("plan_hash") == plan.hash and storage.exists(str(described.get("manifest")))


def finish_dataset(
    storage: Storage,
    dataset: DatasetConfig,
    sample_format: SampleFormat,
    plan: Plan,
    tokenizer: TokenizerSource,
    max_failed_fraction: float,
) -> bool:
    """Write the manifest from the commits, read one after another. Returns whether the dataset is finished.

    False if a unit has no commit: a store may still list a commit that is gone. Its unit must be made first.
    InputError: too many clips have failed, in all runs together.
    """
    if is_finished(storage, plan):
        return True
    committed = committed_units(storage, plan.shard_sizes)
    if next(remaining_units(plan.shard_sizes, committed), None) is not None:
        return False
    counts = UnitCounts(name=dataset.name, num_clips=plan.num_clips, max_failed_fraction=max_failed_fraction)
    with ManifestWriter(storage, dataset.name, sample_format) as writer:
        for unit, commit in read_commits(storage, committed, plan.identity):
            if commit is None:
                return False
            clips = clips_of_unit(plan, unit, commit)
            _check_tars(storage, sample_format, unit, commit)
            counts.add(commit)
            writer.add(_samples(dataset, commit, clips))
        _check_not_empty(dataset, counts)
        writer.finish(counts.tars, _facts(dataset, plan, tokenizer, counts))
    return True


@dataclass(kw_only=True, slots=True)
class UnitCounts:
    """Counts the samples, tars and failures of a dataset, commit by commit, and checks the fraction that failed."""

    name: str
    num_clips: int
    """The number of clips in the plan."""
    max_failed_fraction: float = 1.0
    num_samples: int = 0
    tars: list[CommittedTar] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    """The number of failed clips, by reason."""

    @property
    def size_bytes(self) -> int:
        return sum(tar.size_bytes for tar in self.tars)

    def add(self, commit: Commit) -> None:
        """Count one commit. InputError when more clips have failed than allowed."""
        self.num_samples += len(commit.samples)
        self.tars += commit.tars
        self.failed.update(commit.failed.values())
        check_failures(self.name, self.num_clips, self.failed, self.max_failed_fraction)


def check_failures(name: str, num_clips: int, failed: Counter[str], most: float) -> None:
    """InputError when more than this fraction of a dataset's clips has failed."""
    if failed.total() > most * num_clips:
        raise InputError(
            "data.max_failed_fraction",
            most,
            f"is exceeded: {failed.total()} of {num_clips} clips of {name} failed ({summary(failed)})",
            "repair the clips and add --retry-failed, or raise it",
        )


def standing_commits(storage: Storage, plan: Plan) -> Iterator[tuple[Unit, Commit]]:
    """The units that count with their commits, in the plan's order."""
    for unit, commit in read_commits(storage, committed_units(storage, plan.shard_sizes), plan.identity):
        if commit is not None:
            yield unit, commit


def forget(storage: Storage, units: Iterable[Unit]) -> None:
    """Remove the commits of units, so that they are made again. dataset.json is removed first: if this is
    interrupted, the dataset is unfinished, and not a finished one that lacks samples."""
    if storage.exists(DATASET_KEY):
        storage.remove(DATASET_KEY)
    for unit in units:
        storage.remove(unit.commit_key)


OTHER_CLIPS = "which lists other clips than its unit has in the plan"


def _check_tars(storage: Storage, sample_format: SampleFormat, unit: Unit, commit: Commit) -> None:
    """InputError when a commit with samples lacks the tar of latents, or has one that the format does not store."""
    if commit.tars and len(commit.tars) != 1 + (sample_format.latent != "none"):
        raise InputError(
            "output",
            storage.url,
            f"holds {unit.commit_key} with {len(commit.tars)} tars for latent={sample_format.latent}",
            "remove that commit, so that its unit is made again",
        )


def _check_not_empty(dataset: DatasetConfig, counts: UnitCounts) -> None:
    if not counts.num_samples:
        raise InputError(
            f"{dataset.name}.source.path",
            dataset.source.path,
            f"gives no sample: {summary(counts.failed)}",
            "repair the clips and choose another output",
        )


def _facts(dataset: DatasetConfig, plan: Plan, tokenizer: TokenizerSource, counts: UnitCounts) -> dict[str, Any]:
    """What dataset.json says in addition to the manifest's own fields."""
    return {
        "tokenizer": to_dict(tokenizer),
        "config": to_dict(dataset),
        "config_hash": plan.config_hash,
        "plan_hash": plan.hash,
        "num_failed": counts.failed.total(),
        "failed": dict(counts.failed.most_common()),
        "num_skipped": plan.num_skipped,
        "size_bytes": counts.size_bytes,
    }


def _samples(dataset: DatasetConfig, commit: Commit, clips: Mapping[str, Clip]) -> Iterator[SampleEntry]:
    shards = [tar.key for tar in commit.tars]
    for sample in commit.samples:
        yield sample_entry(
            dataset.name,
            clips[sample.key],
            shard=shards[0],
            offset=sample.offset,
            size_bytes=sample.size_bytes,
            latent_shard=shards[1] if shards[1:] else None,
            latent_offset=sample.latent_offset,
            latent_bytes=sample.latent_bytes,
        )


def clips_of_unit(plan: Plan, unit: Unit, commit: Commit) -> dict[str, Clip]:
    """The plan's clips of a committed unit, by key. InputError: the commit does not list each of them once, or the
    plan is damaged."""
    clips = {clip.key: clip for clip in plan.clips_of(unit)}
    if not lists_clips(commit, clips.keys()):
        raise InputError(
            "output",
            plan.storage.url,
            f"holds {unit.commit_key}, {OTHER_CLIPS}",
            "make its unit again: `videoar data verify URL --repair`",
        )
    return clips


def lists_clips(commit: Commit, keys: Collection[str]) -> bool:
    """Whether the commit lists each of these clips once, as a sample or as a failure."""
    listed = [sample.key for sample in commit.samples] + list(commit.failed)
    return len(listed) == len(keys) == len(set(keys) & set(listed))
