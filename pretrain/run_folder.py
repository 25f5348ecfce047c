"""A run directory: its recipe and environment, where its files are, and one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.fields.serialize import from_yaml, parse_yaml, to_yaml
from videoar.cluster.ground.files import write_atomically, written_aside
from videoar.cluster.ground.process import PREEMPTED_MARKER, World
from videoar.cluster.ground.processes.surroundings import explain_full_disk, read_text
from videoar.cluster.ground.versions import installed_version
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.config import Recipe

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
VALIDATION = "validation.jsonl"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
EVENTS = "events.jsonl"
HEALTH = "health"
WANDB_ID = "wandb.id"
"""File with the run's id at Weights & Biases, which it keeps when it resumes."""
WANDB = "wandb"
"""Folder of the files of Weights & Biases."""
TENSORBOARD = "tensorboard"
"""Folder of the files of TensorBoard."""
DATA = "data"
SAMPLES = "samples"
LOCK = ".lock"
_PROBE = ".probe"
_PACKAGES = ("videoar", "torch", "numpy", "ray", "megatron-core", "deepspeed", "av", "safetensors")


@contextmanager
def sole_writer(run: Path, field: str = "run", writer: str = "trainer") -> Iterator[None]:
    """Lock the run directory; InputError if another trainer holds it. The lock of a killed process is released.

    `field` is the option that names the folder, `writer` the kind of program that uses it.
    """
    missing = [folder for folder in (run, *run.parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    with (run / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                field, run, f"is in use by another {writer}", f"wait for it, or give another --{field}"
            ) from error
        try:
            with explain_full_disk(str(run)):
                yield
        except InputError:
            _remove_lock(run, missing)
            raise


def _remove_lock(run: Path, made: Sequence[Path]) -> None:
    """Of a run that was refused before its first write: remove the lock, and the folders that were made for it."""
    if [path.name for path in run.iterdir()] == [LOCK]:
        (run / LOCK).unlink()
        with suppress(OSError):  # one that is not empty stays, and so do those above it
            for folder in made:
                folder.rmdir()


def open_run(run: Path, recipe: Recipe, world: World) -> None:
    """Save the environment and the recipe, after all checks; the run is no longer waiting to be submitted again."""
    _forget_copied_id(run)
    facts = {**_environment(world), "folder": str(run.resolve())}
    write_atomically(run / ENVIRONMENT, json.dumps(facts, indent=1) + "\n")
    saved = run / CONFIG
    if not saved.exists() or from_yaml(Recipe, saved.read_text(encoding="utf-8"), CONFIG) != recipe:
        write_atomically(saved, to_yaml(recipe))  # keep an equal file: the user may have written it, with comments
    (run / PREEMPTED_MARKER).unlink(missing_ok=True)


def _forget_copied_id(run: Path) -> None:
    """A copy of a run directory gets its own id at Weights & Biases; a directory that was moved keeps its id."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        before = Path(json.loads((run / ENVIRONMENT).read_text())["folder"])
        is_copy = (before / WANDB_ID).read_text() == (run / WANDB_ID).read_text() and not before.samefile(run)
        if is_copy:
            (run / WANDB_ID).unlink()


def read_recipe(run: Path) -> Recipe:
    """The recipe of a generator's run. InputError for any other folder."""
    path = run / CONFIG
    if not path.is_file():
        raise InputError("run", run, f"holds no {CONFIG}", "give the folder that `videoar train --run` wrote")
    text = read_text(path)
    if "clips" in parse_yaml(text, str(path)):
        remedy = f"give a generator's, or measure this one: `videoar tokenizer evaluate {run / 'tokenizer'} CLIPS`"
        raise InputError("run", run, "is a run of a tokenizer", remedy)
    return from_yaml(Recipe, text, str(path))


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
        with written_aside(path) as aside, aside.open("w") as kept:
            kept.writelines(f"{line}\n" for line, record in _whole_lines(path) if wanted(record))


def drop_validations(run: Path, after: int) -> None:
    """Drop the lines of validation.jsonl past a step: a run that continues there writes them again."""
    keep_lines(run / VALIDATION, lambda line: line["step"] <= after)


def _whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """One line at a time: the file of a long run may not fit into memory. A damaged disk may leave any bytes."""
    with path.open("rb") as file:
        for raw in file:
            with suppress(ValueError, RecursionError):
                line = raw.decode().rstrip("\n")
                if isinstance(record := json.loads(line), dict):
                    yield line, record


def record_event(run: Path, event: str, **facts: object) -> None:
    """Append a line to events.jsonl: what happened in addition to the steps, and when (seconds since the epoch)."""
    append_line(run / EVENTS, json.dumps({"event": event, "time": time.time(), **facts}))


def checkpoints(run: Path, recipe: Recipe) -> Storage:
    """Where the checkpoints of a run are; a relative path starts at the run directory."""
    place = recipe.log.checkpoints
    return Storage.open(place if "://" in place else str((run / (place or CHECKPOINTS)).resolve()))


def check_writable(root: Storage) -> None:
    """InputError, before the first step, for a place of checkpoints that does not keep what is written."""
    made = root.is_local and not root.is_folder()
    try:
        root.write(_PROBE, b"probe")
        kept = Storage.open(root.url).read(_PROBE) == b"probe" and not root.url.startswith("memory:")
        root.remove(_PROBE)
        if made:
            os.rmdir(root.root)
    except (OSError, NotImplementedError, ValueError) as error:
        if isinstance(error, InputError | StoreError):
            raise
        reason = f"cannot be written ({error or type(error).__name__})"
        raise InputError("log.checkpoints", root.url, reason, "name a folder or store that can be") from error
    if not kept:
        raise InputError(
            "log.checkpoints", root.url, "does not keep what is written", "name a folder or an object store"
        )


def _environment(world: World) -> dict[str, object]:
    versions = {package: installed_version(package) or "absent" for package in _PACKAGES}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
    return {
        "python": platform.python_version(),
        "packages": versions,
        "device": device,
        "processes": world.world_size,
        "cores": os.cpu_count(),
    }
