"""Prepared states of a text encoder, stored with a dataset: each caption is encoded once, its length is known early.

DATASET/text/<encoder hash>-<max tokens>/
    000000.safetensors   states of some captions, one after the other (float16); the size of a file is bounded
    000000.parquet       which captions: id, tokens, first row, checksum; written after the states
    text.json            encoder, width and number of files; written last: with it the captions are complete
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow
from jaxtyping import Float16, Int64, Shaped
from pyarrow import compute, parquet
from safetensors.numpy import save

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import crc32
from videoar.data_pipeline.storage.objects import Storage
from videoar.data_pipeline.text.t5 import T5Encoder

TEXT = "text"
HEAD = "text.json"

_FILE_BYTES = 256 << 20
_TEXTS_AT_ONCE = 256
_SCHEMA = pyarrow.schema(
    [("id", pyarrow.int64()), ("num_tokens", pyarrow.int32()), ("row", pyarrow.int64()), ("crc", pyarrow.int64())]
)


def prepare_states(
    manifest: Manifest,
    encoder: T5Encoder,
    on_progress: Callable[[int, int], None] | None = None,
    file_bytes: int = _FILE_BYTES,
) -> str:
    """Encode every caption of a dataset that has no states yet; returns the folder's URL.

    After an interruption it resumes at the first caption that is missing. `on_progress` gets (captions done, all).
    """
    storage = _folder(manifest, encoder.hash, encoder.max_tokens)
    if storage.exists(HEAD):
        return storage.url
    captions = compute.unique(manifest.entries.column("caption")).to_pylist()
    ids = [text_id(caption) for caption in captions]
    assert len(set(ids)) == len(ids), "two captions have one id"
    number, done = _finished_files(storage, ids)
    while done < len(captions):
        done += _write_file(storage, number, encoder, captions[done:], ids[done:], file_bytes)
        number += 1
        if on_progress is not None:
            on_progress(done, len(captions))
    head = {"encoder_hash": encoder.hash, "max_tokens": encoder.max_tokens, "width": encoder.width, "num_files": number}
    storage.write(HEAD, json.dumps(head, indent=1).encode())
    return storage.url


def text_id(caption: str) -> int:
    """Identifies a caption: 63 bits of its hash."""
    return int.from_bytes(hashlib.sha256(caption.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class _States:
    """The states of one dataset: the place of each caption's states, sorted by id."""

    storage: Storage
    width: int
    """Width of a state."""
    ids: Int64[np.ndarray, " i"]
    num_tokens: Int64[np.ndarray, " i"]
    files: Int64[np.ndarray, " i"]
    """Number of the file that holds the states."""
    first_bytes: Int64[np.ndarray, " i"]
    """Where they begin in that file."""
    checksums: Int64[np.ndarray, " i"]

    def place(self, wanted: Int64[np.ndarray, " j"], name: str) -> Int64[np.ndarray, " j"]:
        """Index of each id. InputError if one has no states."""
        found = np.searchsorted(self.ids, wanted).clip(max=len(self.ids) - 1)
        if (self.ids[found] != wanted).any():
            raise InputError("data.url", name, "has captions without states", "run `videoar data text` again")
        return found

    def read(self, index: int) -> Float16[np.ndarray, "m e"]:
        """States of one caption. CorruptShard if they are not what was written."""
        key, start = f"{self.files[index]:06d}.safetensors", int(self.first_bytes[index])
        size_bytes = int(self.num_tokens[index]) * self.width * 2
        try:
            raw = self.storage.read(key, start, start + size_bytes)
        except (FileNotFoundError, ValueError) as error:
            raise CorruptShard(f"{self.storage.url}/{key}: cannot be read ({error}); restore it") from error
        if crc32(raw) != self.checksums[index]:
            raise CorruptShard(
                f"{self.storage.url}/{key}: the checksum of the bytes from {start} does not match; restore it"
            )
        return np.frombuffer(raw, dtype="<f2").reshape(-1, self.width)


class StatesText:
    """Captions as prepared states: conditions on T5 without loading the encoder."""

    vocab_size = 0
    """No vocabulary, because states are not token ids."""
    in_memory = False

    def __init__(self, states: Mapping[str, _States], encoder_hash: str) -> None:
        self._states, self.hash = states, encoder_hash

    @staticmethod
    def open(manifests: Sequence[Manifest], encoder_hash: str, max_tokens: int, width: int) -> StatesText:
        """The states of every dataset, all of one encoder: the one with `encoder_hash`, or the only one there is."""
        hashes = {manifest.name: _hash_of(manifest, encoder_hash, max_tokens) for manifest in manifests}
        if len(set(hashes.values())) > 1:
            raise InputError("data.url", hashes, "have states of different encoders", "set model.text.encoder_hash")
        states = {manifest.name: _open(manifest, hashes[manifest.name], max_tokens) for manifest in manifests}
        for name, found in states.items():
            if found.width != width:
                raise InputError(
                    "model.text.width", width, f"is not the {found.width} of the states of {name}", "set it to that"
                )
        return StatesText(states, next(iter(hashes.values()), encoder_hash))

    def length(self, entry: SampleEntry) -> int:
        """Tokens of a sample's caption."""
        return int(self._states[entry.dataset].num_tokens[self._place(entry)])

    def lengths(self, entries: Entries) -> Int64[np.ndarray, " i"]:
        """`length` of every sample of a manifest; equal captions are looked up once."""
        captions, which = entries.captions()
        ids = np.array([text_id(caption) for caption in captions], dtype=np.int64)
        states = self._states[entries.dataset]
        return states.num_tokens[states.place(ids, entries.dataset)][which]

    def tokens(self, entry: SampleEntry) -> Float16[np.ndarray, "m e"]:
        """States of a sample's caption."""
        return self._states[entry.dataset].read(self._place(entry))

    def encode(self, text: str | int) -> Shaped[np.ndarray, "m ..."]:
        """Raise InputError: a prompt needs the encoder itself."""
        raise InputError("text_encoder", None, "is needed to encode a prompt", "give the folder of the encoder")

    def _place(self, entry: SampleEntry) -> int:
        return int(self._states[entry.dataset].place(np.array([text_id(entry.caption)]), entry.dataset)[0])


def _folder(manifest: Manifest, encoder_hash: str, max_tokens: int) -> Storage:
    return Storage.open(manifest.url).child(f"{TEXT}/{encoder_hash}-{max_tokens}")


def _hash_of(manifest: Manifest, wanted: str, max_tokens: int) -> str:
    """Hash of the encoder whose states are used. InputError if there are none, or not those of the wanted encoder."""
    storage = Storage.open(manifest.url).child(TEXT)
    names = {name for name in storage.folders() if storage.exists(f"{name}/{HEAD}")}
    found = sorted(name.rpartition("-")[0] for name in names if name.endswith(f"-{max_tokens}"))
    if (wanted and wanted in found) or (not wanted and len(found) == 1):
        return wanted or found[0]
    if not found:
        problem = f"has no states of {max_tokens} tokens for {manifest.name}"
        raise InputError("model.text.kind", "t5", problem, "run `videoar data text RECIPE` first")
    raise InputError(
        "model.text.encoder_hash",
        wanted,
        f"is not an encoder of the states of {manifest.name}: {', '.join(found)}",
        "set it to one of them, or run `videoar data text` with the encoder that you want",
    )


def _open(manifest: Manifest, encoder_hash: str, max_tokens: int) -> _States:
    storage = _folder(manifest, encoder_hash, max_tokens)
    head = json.loads(storage.read(HEAD))
    tables = [_read_index(storage, number) for number in range(head["num_files"])]
    columns = {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in _SCHEMA.names}
    files = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    starts = np.repeat([_data_start(table) for table in tables], [table.num_rows for table in tables])
    order = np.argsort(columns["id"])
    first_bytes = starts + columns["row"] * head["width"] * 2
    return _States(
        storage,
        head["width"],
        columns["id"][order],
        columns["num_tokens"].astype(np.int64)[order],
        files[order],
        first_bytes[order],
        columns["crc"][order],
    )


def _read_index(storage: Storage, number: int) -> pyarrow.Table:
    return parquet.ParquetFile(pyarrow.BufferReader(storage.read(f"{number:06d}.parquet"))).read(use_threads=False)


def _data_start(table: pyarrow.Table) -> int:
    return int(table.schema.metadata[b"data_start"])


def _finished_files(storage: Storage, ids: Sequence[int]) -> tuple[int, int]:
    """Number of files that an earlier pass completed, and of the captions in them."""
    number, done = 0, 0
    while storage.exists(f"{number:06d}.parquet"):
        found = _read_index(storage, number)["id"].to_pylist()
        if found != list(ids[done : done + len(found)]):
            break
        number, done = number + 1, done + len(found)
    return number, done


def _write_file(
    storage: Storage, number: int, encoder: T5Encoder, captions: Sequence[str], ids: Sequence[int], file_bytes: int
) -> int:
    """Write one file of states and its index; returns how many captions it holds."""
    states: list[Float16[np.ndarray, "_m e"]] = []
    size_bytes = 0
    for some in _batches(captions):
        states += encoder.encode(some)
        size_bytes = sum(one.nbytes for one in states)
        if size_bytes + size_bytes * _TEXTS_AT_ONCE // len(states) > file_bytes:
            break
    payload = save({"states": np.concatenate(states)})
    storage.write(f"{number:06d}.safetensors", payload)
    counts = np.array([len(one) for one in states])
    columns: dict[str, Any] = {
        "id": ids[: len(states)],
        "num_tokens": counts,
        "row": np.cumsum(counts) - counts,
        "crc": [crc32(one.tobytes()) for one in states],
    }
    start = 8 + int.from_bytes(payload[:8], "little")
    table = pyarrow.table(columns, schema=_SCHEMA).replace_schema_metadata({"data_start": str(start)})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    storage.write(f"{number:06d}.parquet", sink.getvalue().to_pybytes())
    return len(states)


def _batches(captions: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(captions), _TEXTS_AT_ONCE):
        yield captions[start : start + _TEXTS_AT_ONCE]
