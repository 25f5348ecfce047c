"""A run directory: the recipe and environment it began with, one writer at a time, and where everything lies."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from videoar.cluster.errors import InputError
from videoar.cluster.process import World
from videoar.cluster.serialize import from_yaml, to_dict, to_yaml
from videoar.pretrain.config import LogConfig, ParallelConfig, Recipe

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
DATA = "data"
_PACKAGES = ("videoar", "torch", "numpy", "ray", "megatron-core", "deepspeed", "av", "safetensors")


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Hold the run directory; a second trainer on it is refused, and a killed one leaves nothing behind."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "run", run, "is in use by another trainer", "wait for it, or give another --run"
            ) from error
        yield


def open_run(run: Path, recipe: Recipe, world: World) -> None:
    """Save the recipe and the environment, or check that this is the run that the recipe began."""
    saved = run / CONFIG
    if saved.exists():
        _check_same(from_yaml(Recipe, saved.read_text(), str(saved)), recipe, run)
    write_atomically(saved, to_yaml(recipe))
    write_atomically(run / ENVIRONMENT, json.dumps(_environment(world), indent=1) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """The old content or the new, never half of either."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text)
    os.replace(temporary, path)


def append_line(path: Path, line: str) -> None:
    """One whole line at the end of a file."""
    with path.open("a") as file:
        file.write(line + "\n")


def _check_same(before: Recipe, now: Recipe, run: Path) -> None:
    """What decides the numbers must not change under a run; how it is cut, logged and fed may."""
    old, new = to_dict(_numbers(before)), to_dict(_numbers(now))
    for field in old:
        if old[field] != new[field]:
            raise InputError(
                field, new[field], f"differs from {run / CONFIG}, which began this run",
                "give another --run, or the recipe it began with",
            )  # fmt: skip


def _numbers(recipe: Recipe) -> Recipe:
    """The recipe without what may change under a run."""
    data = replace(recipe.data, url="", actors=1, decode_processes=1)
    return replace(recipe, data=data, parallel=ParallelConfig(), log=LogConfig(), threads=0)


def _environment(world: World) -> dict[str, object]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
    return {
        "python": platform.python_version(),
        "packages": versions,
        "device": device,
        "processes": world.world_size,
        "cores": os.cpu_count(),
    }
