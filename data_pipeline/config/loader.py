"""How training reads prepared samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import Limits, SizeBytes, ZeroOrMore


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderConfig:
    """How training reads its samples. It does not change which samples a step has, so it may change within a run."""

    fetch: Literal["shards", "samples"] = "shards"
    """What is read from object storage. `shards`: whole shards, kept in the cache; the cache must hold all data of a
    stage, because samples are read in random order. `samples`: one range request per sample, without a cache, for
    datasets larger than the cache; use 32 or more read_threads, because each waits for the store."""
    cache_dir: str = ""
    """Folder for shards fetched from object storage, shared by the processes of a machine; empty: a folder in the
    system's directory for temporary files. Shards on a local disk are read in place."""
    cache_bytes: SizeBytes = 200 * 10**9
    """Largest size of the cache; the least recently used shards are removed first."""
    prefetch_steps: ZeroOrMore = 16
    """Number of coming steps whose shards are fetched in advance."""
    fetch_threads: Annotated[int, Limits(1, 4096)] = 4
    """Number of shards that one process fetches at the same time."""
    read_threads: Annotated[int, Limits(1, 4096)] = 2
    """Number of samples that one process waits for at the same time; samples in memory are read without a thread."""
    steps_ahead: Annotated[int, Limits(1, 100_000)] = 2
    """Number of steps that are read and packed in host memory before the trainer needs them."""
    max_missing_shards: ZeroOrMore = 0
    """Number of shards that may be missing or damaged before the run stops. Their samples are replaced by others of
    the same shape, and every such shard is logged. With data.online: the number of clips that may fail."""
    online_cache_bytes: Annotated[int, Limits(0, 2**60)] = 4 * 2**30
    """With data.online: bytes of samples that a process keeps in memory, so that a small dataset is decoded once; those
    read longest ago are dropped first. It should hold the samples of `prefetch_steps` steps."""

    def __post_init__(self) -> None:
        check_fields(self)
