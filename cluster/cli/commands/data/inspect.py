"""`videoar data inspect`: look into a shard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import parse, typed_as
from videoar.cluster.cli.commands.data.urls import Prepared
from videoar.cluster.cli.output import say_facts, warn
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import OneOrMore
from videoar.cluster.ground.files import check_folder, refuse_existing

if TYPE_CHECKING:
    import numpy as np

    from videoar.data_pipeline.shards.manifest import Manifest
    from videoar.data_pipeline.shards.sample import SampleEntry
    from videoar.tokenizer import VideoTokenizer


SHEET = "sheet.png"


@dataclass(frozen=True, kw_only=True)
class InspectData:
    """Show what is in a shard: its header, its samples, and the clips that the tokenizer decodes from their bits.

    Prints the header and each sample, with the file that it is from and its first and last second there (JSON lines if
    they do not go to a terminal); writes a contact sheet (one row per clip) and an MP4 of each clip.
    """

    url: Prepared
    """Folder or fsspec URL of one finished dataset."""
    shard: Positional[Annotated[str | None, arg(metavar="SHARD")]] = None
    """Key of the shard, or its number in the plan; the first shard if neither SHARD nor --sample is given."""
    sample: Annotated[str | None, arg(metavar="KEY")] = None
    """Show only the sample with this key."""
    out: Annotated[Path, arg(metavar="DIR")] = Path("inspect")
    """Folder for the pictures and clips; existing files of the same names are refused without --force."""
    tokenizer: Annotated[str | None, arg(metavar="DIR")] = None
    """Folder of the tokenizer's weights; the one recorded with the dataset if not given."""
    clips: Annotated[OneOrMore, arg(metavar="N")] = 16
    """Decode at most N clips."""
    force: bool = False
    """Replace files of the same names in the folder."""
    json: bool = False
    """Print JSON on a terminal, too."""


def inspect(words: Sequence[str], prog: str) -> int:
    options = parse(InspectData, words, prog)
    if options.shard is not None and options.sample is not None:
        raise InputError("sample", options.sample, f"is given with the shard {options.shard}", "give one of the two")
    from videoar.data_pipeline.preparing.inspect import check_tokenizer, header_of, origins
    from videoar.data_pipeline.shards.manifest import open_manifest

    with typed_as(url="URL"):
        manifest = open_manifest(options.url)
    entries = _inspected(manifest, options)
    _check_out(options, entries[: options.clips])
    tokenizer = _tokenizer(options)
    check_tokenizer(manifest, tokenizer)
    warn(tokenizer.warning)
    header = {"shard": entries[0].shard, "num_samples": len(entries), **header_of(manifest, entries[0])}
    say_facts(header, asked_json=options.json)
    sources = origins(manifest, entries)
    for entry in entries:
        say_facts(asdict(entry) | sources.get(entry.key, {}), asked_json=options.json)
    clips = _decoded(manifest, entries[: options.clips], tokenizer)
    say_facts({"sheet": str(_save(clips, options.out, manifest.fps))}, asked_json=options.json)
    return 0


def _check_out(options: InspectData, entries: Sequence[SampleEntry]) -> None:
    """InputError, before anything is decoded, for files that exist and a folder that cannot be written."""
    check_folder("out", options.out)
    for name in (SHEET, *(_file_name(entry.key) for entry in entries)):
        refuse_existing("out", options.out / name, force=options.force)


def _inspected(manifest: Manifest, options: InspectData) -> tuple[SampleEntry, ...]:
    from videoar.data_pipeline.preparing.inspect import sample_named, samples_of

    if options.sample is not None:
        return (sample_named(manifest, options.sample),)
    return samples_of(manifest, options.shard or manifest.entries[0].shard)


def _tokenizer(options: InspectData) -> VideoTokenizer:
    from videoar.cluster.ground.fields.serialize import from_dict
    from videoar.data_pipeline.shards.manifest import read_dataset
    from videoar.data_pipeline.storage.objects import Storage
    from videoar.tokenizer import open_tokenizer
    from videoar.tokenizer.config import TokenizerSource

    if options.tokenizer is not None:
        remedy = "give the one that made the shards: --tokenizer DIR"
        return open_tokenizer(TokenizerSource(path=options.tokenizer), field="tokenizer", remedy=remedy)
    recorded = read_dataset(Storage.open(options.url)).get("tokenizer", {})
    return open_tokenizer(from_dict(TokenizerSource, recorded, "tokenizer"))


def _decoded(manifest: Manifest, entries: Sequence[SampleEntry], tokenizer: VideoTokenizer) -> dict[str, np.ndarray]:
    """Frames of each clip by the key of its sample."""
    import torch

    from videoar.data_pipeline.preparing.inspect import decoded
    from videoar.data_pipeline.shards.reader import ShardReader
    from videoar.pretrain.generate.video import to_frames

    reader = ShardReader(manifest)
    with torch.inference_mode():
        clips = {entry.key: to_frames(decoded(reader, entry, tokenizer))[0] for entry in entries}
    reader.close()
    return clips


def _save(clips: Mapping[str, np.ndarray], folder: Path, fps: float) -> Path:
    """Write an MP4 of each clip and the contact sheet of all; the path of the sheet."""
    from videoar.data_pipeline.encoding.pictures import contact_sheet, save_png
    from videoar.pretrain.generate.video import save_mp4

    for key, frames in clips.items():
        save_mp4(frames, folder / _file_name(key), fps)
    return save_png(contact_sheet(list(clips.values())), folder / SHEET)


def _file_name(key: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', key)}.mp4"
