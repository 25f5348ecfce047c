"""From raw clips to shards of bit codes, and from shards to packed batches.

`ShardReader` and `open_manifest` read what `videoar data run` wrote, without Ray and without the trainer. They are
imported when they are first used, because the decoder's subprocess imports this package and must not load torch.
Layers, lowest first: storage, config; decoding, shards; sources, text; planning; encoding; preparing, loading,
tokenizer_clips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoar.data_pipeline.shards.manifest import open_manifest
    from videoar.data_pipeline.shards.reader import ShardReader

__all__ = ["ShardReader", "open_manifest"]


def __getattr__(name: str) -> object:
    if name == "ShardReader":
        from videoar.data_pipeline.shards.reader import ShardReader

        return ShardReader
    if name == "open_manifest":
        from videoar.data_pipeline.shards.manifest import open_manifest

        return open_manifest
    raise AttributeError(f"module {__name__} has no attribute {name}")
