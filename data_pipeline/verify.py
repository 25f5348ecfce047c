"""Looking back at what was prepared: re-reading, and clearing away what no commit names."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from videoar.cluster.errors import InputError
from videoar.data_pipeline.commits import SHARDS, Commit
from videoar.data_pipeline.finish import is_finished, standing_commits
from videoar.data_pipeline.manifest import open_manifest
from videoar.data_pipeline.payload import CorruptShard
from videoar.data_pipeline.plan_table import HEAD_KEY, read_plan
from videoar.data_pipeline.shards import ShardReader
from videoar.data_pipeline.storage import Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was read again, and what is wrong with it."""

    num_shards: int
    num_samples: int
    problems: tuple[str, ...]
    unnamed: tuple[str, ...]
    """Tars that no commit names, left by attempts that died: harmless, `gc` removes them."""


def find_datasets(url: str) -> tuple[str, ...]:
    """URLs of the planned datasets at a URL or one folder below it. InputError when there is none."""
    storage = Storage.open(url)
    heads = [key for key in storage.keys("") if posixpath.basename(key) == HEAD_KEY and key.count("/") <= 1]
    if not heads:
        raise InputError("url", url, "holds no planned dataset", "run `videoar data run` first")
    return tuple(storage.child(posixpath.dirname(key)).url.rstrip("/") for key in heads)


def verify(url: str) -> Verification:
    """Re-hash every shard of a finished dataset and read one sample of each through the reader."""
    storage, manifest = Storage.open(url), open_manifest(url)
    commits = [commit for _, commit in standing_commits(storage, read_plan(storage)) if commit.tar]
    problems = [problem for commit in commits for problem in _check(storage, commit)]
    reader = ShardReader(manifest)
    for entry in {entry.shard: entry for entry in manifest.entries}.values():
        try:
            reader.read(entry)
        except (CorruptShard, InputError) as error:
            problems.append(str(error))
    reader.close()
    return Verification(
        num_shards=len(commits), num_samples=len(manifest.entries), problems=tuple(problems), unnamed=unnamed(storage)
    )


def gc(url: str) -> tuple[str, ...]:
    """Remove the tars that no commit names; their keys. Not while a preparation is running on this dataset."""
    storage = Storage.open(url)
    keys = unnamed(storage)
    for key in keys:
        storage.remove(key)
    return keys


def unnamed(storage: Storage) -> tuple[str, ...]:
    """Keys below the shards' folder that neither a commit nor the manifest names.

    After two drivers on one plan the manifest may name a tar whose unit the other has committed again.
    """
    plan = read_plan(storage)
    named = {commit.tar for _, commit in standing_commits(storage, plan)}
    if is_finished(storage, plan):
        named |= {entry.shard for entry in open_manifest(storage.url).entries}
    return tuple(key for key in storage.keys(SHARDS) if key not in named)


def _check(storage: Storage, commit: Commit) -> Iterator[str]:
    try:
        found = hashlib.sha256(storage.read(commit.tar)).hexdigest()
    except FileNotFoundError:
        yield f"{commit.tar} is missing"
        return
    if found != commit.sha256:
        yield f"{commit.tar} is damaged: its sha256 is {found[:16]}…, the commit says {commit.sha256[:16]}…"
