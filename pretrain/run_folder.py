"""A run directory: its recipe and environment, where its files are, and one writer at a time."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.overrides import differences
from videoar.cluster.ground.process import World
from videoar.cluster.ground.serialize import from_yaml, to_yaml
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.storage.objects import Storage, explain_full_disk
from videoar.pretrain.checkpoint.format import saved_steps
from videoar.pretrain.config import FaultConfig, LogConfig, ParallelConfig, Recipe

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
VALIDATION = "validation.jsonl"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
EVENTS = "events.jsonl"
HEALTH = "health"
WANDB_ID = "wandb.id"
"""File with the run's id at Weights & Biases, which it keeps when it resumes."""
DATA = "data"
_PROBE = ".probe"
_PACKAGES = ("videoar", "torch", "numpy", "ray", "megatron-core", "deepspeed", "av", "safetensors")


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Lock the run directory; InputError if another trainer holds it. The lock of a killed process is released."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "run", run, "is in use by another trainer", "wait for it, or give another --run"
            ) from error
        with explain_full_disk(str(run)):
            yield


def open_run(run: Path, recipe: Recipe, world: World) -> None:
    """Save the recipe and the environment; InputError if the run was started with another recipe."""
    saved = run / CONFIG
    if saved.exists() and (run / METRICS).exists():  # a run that never took a step may still be corrected
        before = from_yaml(Recipe, saved.read_text(), str(saved))
        _check_same(before, recipe, run)
        _check_checkpoints(before, recipe, run)
    write_atomically(saved, to_yaml(recipe))
    write_atomically(run / ENVIRONMENT, json.dumps(_environment(world), indent=1) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that readers see the old content or the new one."""
    aside = _aside(path)
    aside.write_text(text)
    os.replace(aside, path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing")


def append_line(path: Path, line: str) -> None:
    """Append one line to a file; if a killed process left a line unfinished, start on a new one."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else "\n" + line
        file.write(line.encode() + b"\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole JSON line of a file; a line that a killed process left unfinished is skipped."""
    return [record for _, record in _whole_lines(path)]


def keep_lines(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Keep the wanted JSON lines of a file and drop the rest and unfinished ones; does nothing without a file."""
    if path.exists():
        aside = _aside(path)
        with aside.open("w") as kept:
            kept.writelines(f"{line}\n" for line, record in _whole_lines(path) if wanted(record))
        os.replace(aside, path)


def drop_validations(run: Path, after: int) -> None:
    """Drop the lines of validation.jsonl past a step: a run that continues there writes them again."""
    keep_lines(run / VALIDATION, lambda line: line["step"] <= after)


def _whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """One line at a time: the file of a long run may not fit into memory. A damaged disk may leave any bytes."""
    with path.open("rb") as file:
        for raw in file:
            with suppress(ValueError):
                line = raw.decode().rstrip("\n")
                if isinstance(record := json.loads(line), dict):
                    yield line, record


def record_event(run: Path, event: str, **facts: object) -> None:
    """Append a line to events.jsonl: what happened besides the steps, and when (seconds since the epoch)."""
    append_line(run / EVENTS, json.dumps({"event": event, "time": time.time(), **facts}))


def checkpoints(run: Path, recipe: Recipe) -> Storage:
    """Where the checkpoints of a run are; a relative path starts at the run directory."""
    place = recipe.log.checkpoints
    return Storage.open(place if "://" in place else str((run / (place or CHECKPOINTS)).resolve()))


def check_writable(root: Storage) -> None:
    """InputError, before the first step, for a place of checkpoints that does not keep what is written."""
    try:
        root.write(_PROBE, b"probe")
        kept = Storage.open(root.url).read(_PROBE) == b"probe" and not root.url.startswith("memory:")
        root.remove(_PROBE)
    except (OSError, NotImplementedError, ValueError) as error:
        if isinstance(error, InputError | StoreError):
            raise
        reason = f"cannot be written ({error or type(error).__name__})"
        raise InputError("log.checkpoints", root.url, reason, "name a folder or store that can be") from error
    if not kept:
        raise InputError("log.checkpoints", root.url, "forgets what is written", "name a folder or an object store")


def _check_same(before: Recipe, now: Recipe, run: Path) -> None:
    """InputError if a field that decides the numbers has changed; others (logging, loading, ...) may change."""
    if changed := first_difference(before, now):
        raise InputError(
            *changed,
            f"differs from {run / CONFIG}, the recipe of this run",
            "give another --run, or the recipe that this run was started with",
        )


def _check_checkpoints(before: Recipe, now: Recipe, run: Path) -> None:
    """InputError if log.checkpoints leaves the checkpoints behind: the run would silently start again at step 0."""
    old, new = checkpoints(run, before), checkpoints(run, now)
    if old.url != new.url and not saved_steps(new) and saved_steps(old):
        raise InputError(
            "log.checkpoints",
            new.url,
            f"holds none, and those of this run are in {old.url}",
            "name that folder, or copy them first",
        )


def first_difference(before: Recipe, now: Recipe) -> tuple[str, object] | None:
    """The first field that must not change in a run but has, with its new value; None if there is none."""
    return next(((field, value) for field, (_, value) in differences(numbers(before), numbers(now)).items()), None)


def numbers(recipe: Recipe) -> Recipe:
    """The recipe with defaults in the fields that may change in a run: the other fields decide its numbers.

    A folder may move. What is in it is compared by hashes: the tokenizer's is in the data.
    """
    tokenizer = replace(recipe.data.tokenizer, path="a folder" if recipe.data.tokenizer.path else "")
    data = replace(recipe.data, tokenizer=tokenizer, url="", online=False, actors=1, decode_processes=1)
    model = replace(recipe.model, text=replace(recipe.model.text, path=""))
    stages = tuple(replace(stage, parallel=None) for stage in recipe.stages)
    log = LogConfig()
    if any(stage.plateau_patience for stage in stages):  # validations decide when stages end
        log = LogConfig(validate_every=recipe.log.validate_every, validation=recipe.log.validation)
    return replace(
        recipe,
        model=model,
        data=data,
        stages=stages,
        loader=LoaderConfig(),
        parallel=ParallelConfig(),
        log=log,
        faults=FaultConfig(),
        threads=0,
    )


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
