"""The last step of a dataset: the manifest, from the plan and its commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import to_dict
from videoar.data_pipeline.clip import SampleEntry
from videoar.data_pipeline.commits import Commit, Unit, committed_units, read_commit, remaining_units
from videoar.data_pipeline.config import DatasetConfig
from videoar.data_pipeline.manifest import DATASET_KEY, read_dataset, sample_id, write_manifest
from videoar.data_pipeline.payload import SampleFormat
from videoar.data_pipeline.plan import summary
from videoar.data_pipeline.plan_table import Plan
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer.scales import latent_frames


def is_finished(storage: Storage, plan: Plan) -> bool:
    """Whether the manifest of this very plan is written."""
    return storage.exists(DATASET_KEY) and read_dataset(storage).get("plan_hash") == plan.hash


def read_commits(storage: Storage, plan: Plan) -> dict[Unit, Commit]:
    """The commits that count, in the plan's order."""
    units = committed_units(storage, plan.shard_sizes)
    return {unit: read_commit(storage, unit) for unit in units}


def finish_dataset(storage: Storage, dataset: DatasetConfig, layout: SampleFormat, plan: Plan) -> None:
    """Write the manifest of a dataset whose units are all committed; nothing when it is there already."""
    if is_finished(storage, plan):
        return
    commits = read_commits(storage, plan)
    assert not remaining_units(plan.shard_sizes, commits), "a manifest of half a plan would drop samples silently"
    reasons = failures(commits)
    entries = list(_entries(dataset, plan, commits))
    if not entries:
        raise InputError(
            f"{dataset.name}.source.path", dataset.source.path, f"gives no sample: {summary(reasons)}",
            "repair the clips and choose another output",
        )  # fmt: skip
    facts = {
        "config": to_dict(dataset),
        "config_hash": plan.config_hash,
        "plan_hash": plan.hash,
        "num_failed": reasons.total(),
        "failed": dict(reasons.most_common()),
        "num_skipped": plan.num_skipped,
        "size_bytes": sum(commit.size_bytes for commit in commits.values()),
    }
    write_manifest(storage, dataset.name, layout, entries, facts)


def failures(commits: dict[Unit, Commit]) -> Counter[str]:
    """Failed clips by reason."""
    return Counter(reason for commit in commits.values() for reason in commit.failed.values())


def _entries(dataset: DatasetConfig, plan: Plan, commits: dict[Unit, Commit]) -> Iterator[SampleEntry]:
    """The samples in the plan's order."""
    num_frames = latent_frames(dataset.bucket.num_frames)
    for unit, commit in commits.items():
        _check_commit(plan, unit, commit)
        clips = {clip.key: clip for clip in plan.shard(unit.shard)[unit.start : unit.stop]}
        for sample in commit.samples:
            clip = clips[sample.key]
            yield SampleEntry(
                key=clip.key, sample_id=sample_id(dataset.name, clip.key), dataset=dataset.name,
                schedule=dataset.bucket.schedule, num_frames=num_frames, caption=clip.caption, label=clip.label,
                shard=commit.tar, offset=sample.offset, size_bytes=sample.size_bytes,
            )  # fmt: skip


def _check_commit(plan: Plan, unit: Unit, commit: Commit) -> None:
    """Every clip of a unit is a sample or a failure, once, and was made under this plan."""
    if commit.config_hash != plan.config_hash:
        raise InputError(
            "output", unit.name, f"was committed under settings {commit.config_hash}, the plan has {plan.config_hash}",
            "choose another output",
        )  # fmt: skip
    keys: Sequence[str] = [sample.key for sample in commit.samples] + list(commit.failed)
    planned = [clip.key for clip in plan.shard(unit.shard)[unit.start : unit.stop]]
    assert sorted(keys) == sorted(planned), f"commit {unit.name} does not account for every clip of its unit"
