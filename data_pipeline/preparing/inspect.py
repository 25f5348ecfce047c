"""Shows one shard: its header, its samples, and their bits decoded by the tokenizer."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.cluster.ground.fields.serialize import from_dict
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.stored_plan import HEAD_KEY, read_plan
from videoar.data_pipeline.shards.manifest import DATASET_KEY, Manifest, read_dataset
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import header_fields
from videoar.data_pipeline.sources.source import base_folder, is_absolute
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule


def samples_of(manifest: Manifest, shard: str) -> tuple[SampleEntry, ...]:
    """The samples of a shard, which is given by its key, its file name or its number in the plan."""
    wanted = f"{int(shard):06d}" if shard.isdecimal() else shard
    found = tuple(entry for entry in manifest.entries if wanted in _names(entry.shard))
    if not found:
        raise InputError(
            "SHARD", shard, f"is not a shard of {manifest.url}", f"use one like {manifest.entries[0].shard}"
        )
    return found


def sample_named(manifest: Manifest, key: str) -> SampleEntry:
    """The sample with this key."""
    for entry in manifest.entries:
        if entry.key == key:
            return entry
    raise InputError("sample", key, f"is not a sample of {manifest.url}", f"use one like {manifest.entries[0].key}")


def origins(manifest: Manifest, entries: Sequence[SampleEntry]) -> dict[str, dict[str, object]]:
    """The source file of each sample and the part of it that the clip shows, by the sample's key.

    Empty for a dataset whose plan was not kept with the shards.
    """
    storage = Storage.open(manifest.url)
    if not storage.exists(HEAD_KEY):
        return {}
    plan, wanted = read_plan(storage), {entry.key for entry in entries}
    source = from_dict(SourceConfig, read_dataset(storage)["config"]["source"], DATASET_KEY)
    numbers = sorted({int(_names(entry.shard)[2]) for entry in entries})
    clips = [clip for number in numbers for clip in plan.shard(number) if clip.key in wanted]
    return {
        clip.key: {"source": _uri(source, clip), "start_s": clip.start_s, "end_s": round(clip.end_s, 6)}
        for clip in clips
    }


def _uri(source: SourceConfig, clip: Clip) -> str:
    """Where the file of a clip is; for a drawing, its seed and index."""
    if source.is_drawn:
        return f"{source.kind}, seed {source.seed}, drawing {clip.path}"
    path = clip.path if is_absolute(clip.path) else f"{base_folder(source).url}/{clip.path}"
    return f"{path}!{clip.member}" if clip.member else path


def header_of(manifest: Manifest, entry: SampleEntry) -> dict[str, object]:
    """The header fields of a sample's bits in the shard, and of its latent if there is one."""
    found = _header(manifest, entry.shard, entry.offset, entry.size_bytes)
    if entry.latent_shard is None or entry.latent_offset is None or entry.latent_bytes is None:
        return found
    return {**found, "latent": _header(manifest, entry.latent_shard, entry.latent_offset, entry.latent_bytes)}


def _header(manifest: Manifest, shard: str, offset: int, size_bytes: int) -> dict[str, object]:
    try:
        return header_fields(Storage.open(manifest.url).read(shard, offset, offset + size_bytes))
    except (FileNotFoundError, CorruptShard) as error:
        problem = "is missing" if isinstance(error, FileNotFoundError) else str(error)
        raise CorruptShard(f"{manifest.url}/{shard}: {problem}; see `videoar data verify`") from error


def check_tokenizer(manifest: Manifest, tokenizer: VideoTokenizer) -> None:
    """InputError if this is not the tokenizer of the shards: it would decode their bits to noise."""
    if tokenizer.hash != manifest.tokenizer_hash:
        raise InputError(
            "tokenizer",
            tokenizer.hash,
            f"is not the one of these shards, {manifest.tokenizer_hash}",
            "give the folder of their tokenizer: --tokenizer DIR",
        )


def decoded(reader: ShardReader, entry: SampleEntry, tokenizer: VideoTokenizer) -> Float[Tensor, "1 3 f h w"]:
    """The video that the tokenizer decodes from a sample's bits."""
    bits = torch.from_numpy(reader.read(entry).unpack())
    latent = tokenizer.dequantize(bits[None], ScaleSchedule.named(entry.schedule))
    return tokenizer.decode(latent)


def _names(shard: str) -> tuple[str, str, str]:
    file = posixpath.basename(shard)
    return shard, file, file.split(".")[0]
