"""Checkpoints by parameter: safetensors of fragments and one JSON manifest with sha256; complete or absent.

    step-00001000/00003-exp_avg-000.1f0c7a52.safetensors    process 3's part of one state, in files of limited size
    step-00001000/manifest.json                             written last: it completes the checkpoint
    latest                                                  the newest step, for people

The same on a disk and in object storage: file names contain the number of the attempt, nothing is renamed, and files
that no manifest names are removed by a later save. Loading executes no pickle, and every file is hashed before a value
of it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor

from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.fragment import Cut, Fragment, Place, copy_overlap, may_overlap

FORMAT = 2
MANIFEST = "manifest.json"
LATEST = "latest"
STATES = ("master", "exp_avg", "exp_avg_sq", "ema")
"""What is stored of a parameter: float32 weight, Adam moments, and the moving average if there is one."""

FILE_NAME = re.compile(r"\d{5}-[a-z_]+-\d{3}\.[0-9a-f]+\.safetensors")
STEP_FOLDER = re.compile(r"step-(\d{8,})/")
_READ_AHEAD = 2
"""Files that are read and hashed while the values of another are copied."""
_BATCH_BYTES = 1 << 30
"""Bytes of parameters that an export assembles at once."""


class CorruptCheckpoint(RuntimeError):
    """A checkpoint is incomplete or differs from its manifest; a run then loads an older one."""


@dataclass(frozen=True, slots=True)
class StoredFragment:
    """A place, and the file of each of its states."""

    place: Place
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.place), "files": dict(self.files)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> StoredFragment:
        fields = {key: value for key, value in record.items() if key != "files"}
        cut = Cut(**fields.pop("cut")) if fields["cut"] else fields.pop("cut")
        place = Place(**fields | {"shape": tuple(fields["shape"])}, cut=cut)
        if not place.is_possible:
            raise ValueError(f"{place} is not a part of a parameter")
        return StoredFragment(place, {str(state): str(name) for state, name in record["files"].items()})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Size and digest of a file, as it was written."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one process wrote into a checkpoint."""

    fragments: tuple[StoredFragment, ...]
    files: Mapping[str, StoredFile]


def step_name(step: int) -> str:
    """Folder of a step, below the root of the checkpoints."""
    return f"step-{step:08d}"


def commit(root: Storage, parts: Sequence[Part], meta: Mapping[str, Any]) -> None:
    """Join the parts and complete the checkpoint by one write of its manifest."""
    body = {
        "format": FORMAT,
        "meta": dict(meta),
        "fragments": [fragment.to_json() for part in parts for fragment in part.fragments],
        "files": {name: asdict(file) for part in parts for name, file in part.files.items()},
    }
    _write_manifest(root, meta["step"], body)


def point(root: Storage, step: int) -> None:
    """Write the newest step into `latest`, for human readers; programs list the folder."""
    root.write(LATEST, step_name(step).encode())


def amend(root: Storage, step: int, changes: Mapping[str, Any]) -> None:
    """Change `meta` of a committed checkpoint in one write; its files stay."""
    body = read_manifest(root.child(step_name(step)))
    _write_manifest(root, step, body | {"meta": {**body["meta"], **changes}})


def saved_steps(root: Storage) -> tuple[int, ...]:
    """Steps of complete checkpoints, oldest first."""
    found = (STEP_FOLDER.match(key) for key in root.keys("") if key.endswith(f"/{MANIFEST}"))
    return tuple(sorted(int(match[1]) for match in found if match))


class Checkpoint:
    """A committed checkpoint. Its manifest is checked here, and each file before a value of it is used."""

    def __init__(self, folder: Storage) -> None:
        self.folder = folder.url
        self._storage = folder
        body = read_manifest(folder)
        try:
            self.meta: dict[str, Any] = dict(body["meta"])
            self._files = {name: StoredFile(**entry) for name, entry in body["files"].items()}
            self._fragments: dict[str, list[StoredFragment]] = {}
            for fragment in map(StoredFragment.from_json, body["fragments"]):
                self._fragments.setdefault(fragment.place.parameter, []).append(fragment)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptCheckpoint(
                f"{self.folder}/{MANIFEST}: a field is missing or of the wrong type ({error!r})"
            ) from error
        for name in self._files:
            if not FILE_NAME.fullmatch(name):
                raise CorruptCheckpoint(f"{self.folder}/{MANIFEST}: names {name}, which is not a file of a checkpoint")

    @property
    def part(self) -> Part:
        """Everything the checkpoint holds, as if one process had written it."""
        return Part(tuple(fragment for several in self._fragments.values() for fragment in several), self._files)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self._fragments)

    def shape(self, parameter: str) -> tuple[int, ...]:
        """Shape of the whole parameter."""
        return self._of(parameter)[0].place.shape

    def has(self, state: str) -> bool:
        """Whether every parameter has this state."""
        return all(state in fragment.files for several in self._fragments.values() for fragment in several)

    @torch.no_grad()
    def fill(self, fragments: Iterable[Fragment]) -> None:
        """Copy the saved values into live tensors, however they are cut; CorruptCheckpoint if an element is missing.

        Each file is read once, and only if it holds something that is needed.
        """
        wanted = [(fragment.place, state, out) for fragment in fragments for state, out in fragment.states.items()]
        by_file: dict[str, list[tuple[StoredFragment, Place, Tensor, int]]] = {}
        for index, (place, state, out) in enumerate(wanted):
            for stored in self._of(place.parameter):
                if stored.place.shape != place.shape:
                    shapes = f"with shape {stored.place.shape}, but the model has shape {place.shape}"
                    raise CorruptCheckpoint(f"{self.folder}: holds {place.parameter} {shapes}")
                if may_overlap(stored.place, place):
                    by_file.setdefault(self._file(stored, state), []).append((stored, place, out, index))
        filled = [0] * len(wanted)
        names = sorted(by_file)
        tables = read_ahead(self._tensors, names, threads=_READ_AHEAD, ahead=_READ_AHEAD)
        for name, tensors in zip(names, tables, strict=True):
            for stored, place, out, index in by_file[name]:
                filled[index] += copy_overlap(stored.place, self._value(name, tensors, stored), place, out)
        for count, (place, state, _) in zip(filled, wanted, strict=True):
            if count != place.numel:
                raise CorruptCheckpoint(
                    f"{self.folder}: holds {count} of {place.numel} elements of {place.parameter} ({state})"
                )

    def read(self, parameter: str, state: str = "master") -> Tensor:
        """One whole parameter (or moment, or average) in float32."""
        return self._read([parameter], state)[parameter]

    def weights(self, *, ema: bool = False) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its name, about a gigabyte at a time: the trained weights, or their moving average."""
        batch: list[str] = []
        for parameter in self.parameters:
            batch.append(parameter)
            if 4 * sum(torch.Size(self.shape(name)).numel() for name in batch) >= _BATCH_BYTES:
                yield from self._read(batch, "ema" if ema else "master").items()
                batch = []
        yield from self._read(batch, "ema" if ema else "master").items()

    def verify(self) -> None:
        """Hash every file; CorruptCheckpoint names the first that has changed since it was written."""
        for _ in read_ahead(self.content, sorted(self._files), threads=_READ_AHEAD, ahead=_READ_AHEAD):
            pass

    def _read(self, parameters: Sequence[str], state: str) -> dict[str, Tensor]:
        whole = {name: torch.empty(self.shape(name), dtype=torch.float32) for name in parameters}
        self.fill(
            Fragment(Place(name, tuple(tensor.shape), None, 0, tensor.numel()), {state: tensor.view(-1)})
            for name, tensor in whole.items()
        )
        return whole

    def _of(self, parameter: str) -> list[StoredFragment]:
        if parameter not in self._fragments:
            raise CorruptCheckpoint(f"{self.folder}: holds no parameter {parameter}")
        return self._fragments[parameter]

    def _file(self, stored: StoredFragment, state: str) -> str:
        """The file of a state. A moving average that was not saved starts from the weights."""
        name = stored.files.get(state) or (stored.files.get("master") if state == "ema" else None)
        if name is None or name not in self._files:
            raise CorruptCheckpoint(f"{self.folder}: holds no {state} of {stored.place.parameter}")
        return name

    def _value(self, name: str, tensors: Mapping[str, Tensor], stored: StoredFragment) -> Tensor:
        value = tensors.get(stored.place.parameter)
        if value is None or value.shape != (stored.place.numel,):
            raise CorruptCheckpoint(
                f"{self.folder}/{name}: does not hold {stored.place.parameter} as the manifest says"
            )
        return value

    def _tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return parse_safetensors(self.content(name))
        except SafetensorError as error:
            raise CorruptCheckpoint(f"{self.folder}/{name}: is not a safetensors file ({error})") from error

    def content(self, name: str) -> bytes:
        """The bytes of a file, checked against their hash."""
        expected = self._files[name]
        try:
            content = self._storage.read(name)
        except OSError as error:
            raise CorruptCheckpoint(f"{self.folder}/{name}: cannot be read ({error})") from error
        found = StoredFile(len(content), hashlib.sha256(content).hexdigest())
        if found != expected:
            raise CorruptCheckpoint(f"{self.folder}/{name}: truncated or altered since it was written")
        return content


def _write_manifest(root: Storage, step: int, body: Mapping[str, Any]) -> None:
    text = json.dumps({"sha256": _digest(body), **body}, indent=1)
    root.write(f"{step_name(step)}/{MANIFEST}", text.encode())


def read_manifest(folder: Storage) -> dict[str, Any]:
    """The content of the manifest, without its own digest, which is checked."""
    try:
        body: dict[str, Any] = json.loads(folder.read(MANIFEST))
        digest, version = body.pop("sha256", None), body["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptCheckpoint(f"{folder.url}: has no readable {MANIFEST} ({error})") from error
    if version != FORMAT:
        raise CorruptCheckpoint(f"{folder.url}: has format {version}, and this version reads {FORMAT}")
    if digest != _digest(body):
        raise CorruptCheckpoint(f"{folder.url}/{MANIFEST}: altered since it was written")
    return body


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
