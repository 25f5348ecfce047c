"""How training reads prepared samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from videoar.cluster.ground.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderConfig:
    """How training reads its samples. Nothing here changes which samples a step has, so it may change under a run."""

    fetch: Literal["shards", "samples"] = "shards"
    """From object storage: `shards` whole, into the cache, which must be able to hold the datasets of a stage, as
    samples come in any order; `samples` a range each and none kept, for datasets larger than that (with 32 or more
    read_threads: each waits for the store)."""
    cache_dir: str = ""
    """Folder that keeps shards fetched from object storage, shared by the processes of a machine; empty: one in the
    system's folder for temporary files. Shards on a local disk are read where they lie."""
    cache_bytes: int = 200 * 10**9
    """The cache holds at most so much; what was used longest ago gives way."""
    prefetch_steps: int = 16
    """Shards of so many steps ahead are fetched."""
    fetch_threads: int = 4
    """Shards that one process fetches at a time."""
    read_threads: int = 2
    """Samples that one process waits for at a time; those that lie in memory are read by the thread that asks."""
    steps_ahead: int = 2
    """Steps that wait, read, for the trainer."""
    max_missing_shards: int = 0
    """Shards that may be missing or damaged before the run stops; other samples of the same shape stand in for
    theirs, and every such shard is logged. With data.online: clips that may fail."""
    online_cache_bytes: int = 4 * 2**30
    """With data.online: samples that a process keeps in memory, so that a small dataset is decoded once; what was read
    longest ago gives way. It should hold those of `prefetch_steps` steps."""

    def __post_init__(self) -> None:
        counts = (self.cache_bytes, self.fetch_threads, self.read_threads, self.steps_ahead)
        others = (self.prefetch_steps, self.max_missing_shards, self.online_cache_bytes)
        if min(counts) < 1 or min(others) < 0:
            raise InputError(
                "loader",
                (*counts, *others),
                "(cache_bytes, fetch_threads, read_threads, steps_ahead, prefetch_steps, max_missing_shards, "
                "online_cache_bytes) hold one that is too low",
                "use 1 or more of the first four and 0 or more of the others",
            )
