"""The last step of a dataset: the manifest, from the plan and its commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.serialize import to_dict
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
    """Whether the manifest of this very plan is there."""
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
    """Write the manifest from the commits, one after another; True when it is there.

    False where a unit has no commit after all: stores may go on listing what is gone. The rest is to be made first.
    InputError: too many clips have failed, in whichever run.
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
    """Counts over the commits of a dataset that pass by; ends the work where too many clips have failed."""

    name: str
    num_clips: int
    """Of the plan."""
    max_failed_fraction: float = 1.0
    num_samples: int = 0
    tars: list[CommittedTar] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    """Clips by reason."""

    @property
    def size_bytes(self) -> int:
        return sum(tar.size_bytes for tar in self.tars)

    def add(self, commit: Commit) -> None:
        """Count one more. InputError when more clips have failed than allowed."""
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
            f"is passed: {failed.total()} of {num_clips} clips of {name} failed ({summary(failed)})",
            "mend what is wrong and add --retry-failed, or raise it",
        )


def standing_commits(storage: Storage, plan: Plan) -> Iterator[tuple[Unit, Commit]]:
    """The commits that count, in the plan's order, one after another."""
    for unit, commit in read_commits(storage, committed_units(storage, plan.shard_sizes), plan.identity):
        if commit is not None:
            yield unit, commit


def forget(storage: Storage, units: Iterable[Unit]) -> None:
    """Take units off the record, to be made again. First dataset.json: half-way, the dataset is unfinished, not short
    of samples."""
    if storage.exists(DATASET_KEY):
        storage.remove(DATASET_KEY)
    for unit in units:
        storage.remove(unit.commit_key)


OTHER_CLIPS = "which tells of other clips than the plan has there"


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
    """The plan's clips of a committed unit, by key. InputError: the commit does not tell of each of them once, or the
    plan is damaged."""
    clips = {clip.key: clip for clip in plan.clips_of(unit)}
    if not tells_of(commit, clips.keys()):
        raise InputError(
            "output",
            plan.storage.url,
            f"holds {unit.commit_key}, {OTHER_CLIPS}",
            "make its unit again: `videoar data verify URL --repair`",
        )
    return clips


def tells_of(commit: Commit, keys: Collection[str]) -> bool:
    """Whether each of these clips is a sample of the commit or a failure, once."""
    told = [sample.key for sample in commit.samples] + list(commit.failed)
    return len(told) == len(keys) == len(set(keys) & set(told))
