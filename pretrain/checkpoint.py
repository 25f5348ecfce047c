"""Checkpoints by parameter: safetensors of fragments and one JSON manifest with sha256; complete or absent.

A fragment is a flat piece of one parameter and of its optimizer state, as some process holds it: the parameter may be
cut along a dimension (tensor parallelism) and the cut flattened and sliced (ZeRO). The manifest says where each lies,
so any layout can read what any other wrote. Nothing on the load path executes a pickle.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 1
MANIFEST = "manifest.json"
LATEST = "latest"
STATES = ("master", "exp_avg", "exp_avg_sq", "ema")
"""What is kept of a parameter: float32 weight, Adam moments, moving average (where there is one)."""

log = logging.getLogger(__name__)


class CorruptCheckpoint(RuntimeError):
    """A checkpoint is incomplete or not what its manifest says; the loader falls back to an older one."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A contiguous part of a parameter along one dimension: number `index` of `parts`."""

    dim: int
    index: int
    parts: int

    def of(self, whole: Tensor) -> Tensor:
        return whole.chunk(self.parts, self.dim)[self.index]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A flat slice of one (cut) parameter with its states, as live tensors of the process that owns it."""

    parameter: str
    shape: tuple[int, ...]
    """Of the whole parameter."""
    cut: Cut | None
    start: int
    """First element within the flattened cut."""
    states: Mapping[str, Tensor]
    """State name → flat tensor (numel,)."""

    @property
    def numel(self) -> int:
        return next(iter(self.states.values())).numel()

    def of(self, whole: Tensor) -> Tensor:
        """The same slice of a whole parameter."""
        part = self.cut.of(whole) if self.cut else whole
        return part.reshape(-1)[self.start : self.start + self.numel]


def step_folder(root: Path, step: int) -> Path:
    return root / f"step-{step:08d}"


def write_part(folder: Path, rank: int, fragments: Iterable[Fragment]) -> dict[str, Any]:
    """Write one process's fragments into `folder`; returns its part of the manifest."""
    name = f"part-{rank:05d}.safetensors"
    tensors, records = {}, []
    for fragment in fragments:
        for state, value in fragment.states.items():
            key = f"{fragment.parameter}|{state}|{fragment.start}"
            tensors[key] = value.detach().to("cpu", torch.float32, copy=True).contiguous()
        records.append(
            {
                "file": name,
                "parameter": fragment.parameter,
                "shape": list(fragment.shape),
                "cut": asdict(fragment.cut) if fragment.cut else None,
                "start": fragment.start,
                "numel": fragment.numel,
                "states": sorted(fragment.states),
            }
        )
    path = folder / name
    save_file(tensors, path)
    _sync(path)
    return {"fragments": records, "files": {name: {"sha256": _sha256(path), "size_bytes": path.stat().st_size}}}


def begin(root: Path) -> Path:
    """A fresh temporary folder for one checkpoint; what an earlier, killed save left behind is removed."""
    root.mkdir(parents=True, exist_ok=True)
    for stale in root.glob(".writing-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = root / f".writing-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def commit(root: Path, folder: Path, parts: Sequence[dict[str, Any]], meta: Mapping[str, Any]) -> Path:
    """Join the parts' manifests and make the checkpoint appear: manifest → fsync → rename → pointer."""
    manifest = {
        "format": FORMAT,
        "meta": dict(meta),
        "fragments": [record for part in parts for record in part["fragments"]],
        "files": {name: entry for part in parts for name, entry in part["files"].items()},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    _sync(folder / MANIFEST)
    _sync(folder)
    final = step_folder(root, meta["step"])
    if final.exists():
        shutil.rmtree(final)
    folder.rename(final)
    _sync(root)
    _point(root, final.name)
    return final


def remove_old(root: Path, keep_last: int) -> None:
    """Keep the newest checkpoints only."""
    for folder in sorted(root.glob("step-*"))[: -max(keep_last, 1)]:
        shutil.rmtree(folder)


class Checkpoint:
    """A complete, verified checkpoint; tensors are assembled whole, one at a time, whatever layout wrote them."""

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            self.meta: dict[str, Any] = manifest["meta"]
            self._files: dict[str, Any] = manifest["files"]
            self._records: list[dict[str, Any]] = manifest["fragments"]
            version = manifest["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptCheckpoint(f"{folder}: no readable {MANIFEST} ({error})") from error
        if version != FORMAT:
            raise CorruptCheckpoint(f"{folder}: format {version}, and this version reads {FORMAT}")
        if verify:
            self._verify()
        self._by_parameter: dict[str, list[dict[str, Any]]] = {}
        for record in self._records:
            self._by_parameter.setdefault(record["parameter"], []).append(record)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self._by_parameter)

    def has(self, state: str) -> bool:
        """Whether every parameter carries this state."""
        return all(state in record["states"] for record in self._records)

    def read(self, parameter: str, state: str = "master") -> Tensor:
        """One whole parameter (or moment, or average) in float32."""
        records = self._by_parameter.get(parameter)
        if not records:
            raise CorruptCheckpoint(f"{self.folder}: holds no parameter {parameter}")
        whole = torch.empty(records[0]["shape"], dtype=torch.float32)
        filled = 0
        for record in records:
            with safe_open(self.folder / record["file"], framework="pt") as file:
                value = file.get_tensor(f"{parameter}|{state}|{record['start']}")
            part = Cut(**record["cut"]).of(whole) if record["cut"] else whole
            _fill(part, record["start"], value)
            filled += value.numel()
        if filled != whole.numel():
            raise CorruptCheckpoint(f"{self.folder}: {parameter} has {filled} of {whole.numel()} elements")
        return whole

    def weights(self, *, ema: bool = False) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its name: the trained weights, or their moving average."""
        for parameter in self.parameters:
            yield parameter, self.read(parameter, "ema" if ema else "master")

    def _verify(self) -> None:
        for name, entry in self._files.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != entry["size_bytes"] or _sha256(path) != entry["sha256"]:
                raise CorruptCheckpoint(f"{path}: missing, truncated or altered since it was written")


def newest(root: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are named in the log and passed over."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            return Checkpoint(folder)
        except (CorruptCheckpoint, SafetensorError) as error:
            log.warning("checkpoint passed over: %s", error)
    return None


def _fill(part: Tensor, start: int, value: Tensor) -> None:
    """part.flatten()[start : start + n] = value, also where the cut part is not contiguous."""
    if part.is_contiguous():
        part.view(-1)[start : start + value.numel()] = value
    else:
        flat = part.reshape(-1)
        flat[start : start + value.numel()] = value
        part.copy_(flat.view(part.shape))


def _point(root: Path, name: str) -> None:
    """Write the `latest` pointer so that a reader sees the old name or the new one, never half of either."""
    temporary = root / f".{LATEST}"
    temporary.write_text(name)
    _sync(temporary)
    os.replace(temporary, root / LATEST)
    _sync(root)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
