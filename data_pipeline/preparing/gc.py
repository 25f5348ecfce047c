"""Removes a dataset's files that no commit names, which incomplete attempts have left."""

from __future__ import annotations

import time

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.planning.stored_plan import read_plan
from videoar.data_pipeline.preparing.finish import is_finished
from videoar.data_pipeline.shards.commits import committed_units, read_commits, stored_tars
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.storage.objects import Storage


def gc(url: str, *, min_age_s: float = 3600.0) -> tuple[str, ...]:
    """Remove the tars that no commit names, and uploads that were never completed; returns their keys.

    Files that were written in the last `min_age_s` seconds stay: a run may be about to commit them.
    """
    oldest = time.time() - min_age_s  # taken before listing, so that files committed during it are younger
    storage = Storage.open(url)
    plan = read_plan(storage)
    named = set[str]()
    for unit, commit in read_commits(storage, committed_units(storage, plan.shard_sizes), plan.identity):
        if commit is None:
            raise InputError("url", url, f"lists {unit.commit_key}, but does not hold it", "run the same command later")
        named |= {tar.key for tar in commit.tars}
    if is_finished(storage, plan):
        named |= open_manifest(url).tars.keys()
    unfinished = storage.remove_unfinished(oldest)
    unnamed = [key for key in stored_tars(storage) if key not in named and storage.is_older(key, oldest)]
    for key in unnamed:
        storage.remove(key)
    return tuple(sorted({*unfinished, *unnamed}))
