"""The settings that a plan is made for: their hash, and the differences between two plans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from videoar.cluster.ground.fields.checks import short
from videoar.cluster.ground.fields.serialize import to_dict
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.frame_sampling import RULES_VERSION
from videoar.data_pipeline.planning.opinions import model_hashes
from videoar.data_pipeline.planning.plan_writer import PLAN_VERSION, ShardLimits
from videoar.data_pipeline.shards.sample_format import VERSION, SampleFormat
from videoar.tokenizer.scales import ScaleSchedule

_NAMES = {
    "shards.max_clips": "data.samples_per_shard",
    "shards.max_bytes": "data.max_shard_bytes",
    "tokenizer": "hash of data.tokenizer",
    "latent": "data.latent",
    "latent_dim": "bits per token",
    "versions": "versions of the rules and formats",
}
"""Names in messages of settings that are not fields of the dataset."""
_SHOWN = 4
"""Number of settings that a message names."""


def settings_of(dataset: DatasetConfig, sample_format: SampleFormat, shards: ShardLimits) -> dict[str, Any]:
    """Everything that decides what the shards hold; speed settings do not count."""
    return {
        "dataset": known_before(to_dict(dataset)),
        "shards": asdict(shards),
        "schedules": {bucket.schedule: ScaleSchedule.named(bucket.schedule).hash for bucket in dataset.buckets},
        "tokenizer": sample_format.tokenizer_hash,
        "latent": sample_format.latent,
        "latent_dim": sample_format.latent_dim,
        "models": model_hashes(dataset),
        "versions": [VERSION, RULES_VERSION, PLAN_VERSION],
    }


def config_hash(settings: dict[str, Any]) -> str:
    """Sixteen hex digits of the settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def known_before(dataset: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that came later and have their default: plans of earlier versions stay valid."""
    source = dict(dataset["source"])
    if source.get("pictures") == to_dict(PictureConfig()):
        del source["pictures"]
    if not source.get("plugin"):
        source.pop("plugin", None)
    return {**dataset, "source": source}


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The settings that differ, at most four of them, each with its former and its present value.

    A plan of an earlier version holds only the settings of its dataset: then the others are named without values.
    """
    ours = dict(_leaves({part: now[part] for part in before}))
    theirs = dict(_leaves(before))
    changed = [path for path in dict.fromkeys([*theirs, *ours]) if theirs.get(path) != ours.get(path)]
    lines = [f"{_name(path)} was {_shown(theirs, path)}, is {_shown(ours, path)}" for path in changed]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"{len(lines) - _SHOWN} more"]
    return "; ".join(lines) or "data.tokenizer, data.latent, the shards' size, or a model or version"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value that is not a group of others, by its dotted path."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}.{index}")
    else:
        yield path, json.dumps(value)


def _name(path: str) -> str:
    return _NAMES.get(path, path.removeprefix("dataset."))


def _shown(leaves: dict[str, str], path: str) -> object:
    return short(leaves[path].strip('"')) if path in leaves else "the default"
