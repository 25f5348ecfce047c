"""The cost of a checkpoint: how long the loop waits, our speed and the disk's, and the time to resume a run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, commit, step_name
from videoar.pretrain.checkpoint.saver import Image, Saver, write_images
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.run_folder import read_lines

MODEL = model_of(num_layers=12, width=512, num_heads=4)
ROUNDS = 3


def run(model: ModelConfig = MODEL, rounds: int = ROUNDS, *, resume: bool = True) -> dict[str, Any]:
    """One process and a local disk: saves and loads, compared with plain copies, writes and reads of the same bytes."""
    recipe = bench_recipe(model, tokens_per_pack=1024, batch=1)
    engine = PlainEngine(replace(recipe, optimizer=replace(recipe.optimizer, ema_decay=0.99)), torch.device("cpu"))
    packs = make_packs(recipe, 1)
    step = lambda: engine.step(iter(packs), 1, num_frames(packs), 1e-4)  # noqa: E731
    step()
    with tempfile.TemporaryDirectory() as folder:
        figures = _saving(engine, Storage.open(f"{folder}/checkpoints"), Path(folder), rounds, step)
        if resume:
            figures["resume"] = _resuming(Path(folder) / "run")
    return figures


def _saving(engine: Engine, root: Storage, scratch: Path, rounds: int, step: Callable[[], object]) -> dict[str, Any]:
    saver = Saver(root, engine, debug_recipe().log)
    saver.begin({"step": 0})
    saver.finish()
    images = saver._images
    size = sum(len(image.content) for image in images)
    found: dict[str, list[float]] = {}
    for number in range(1, rounds + 1):
        found.setdefault("blocked_s", []).append(saver.begin({"step": number}))
        found.setdefault("step_beside_a_save_s", []).append(_seconds(step))
        saver.finish()
        found.setdefault("step_s", []).append(_seconds(step))
        found.setdefault("copy_s", []).append(_seconds(lambda: [each.clone() for each in _tensors(engine)]))
        part, seconds = _timed(lambda: write_images(root.child(step_name(100)), 0, images))
        found.setdefault("write_s", []).append(seconds)
        found.setdefault("plain_write_s", []).append(_seconds(lambda: _plain_write(scratch, images)))
        commit(root, [part], {"step": 100, "updates": engine.updates})
        saved = Checkpoint(root.child(step_name(100)))
        found.setdefault("load_s", []).append(_seconds(partial(engine.load, saved)))
        found.setdefault("plain_read_s", []).append(_seconds(lambda: _plain_read(scratch, len(images))))
        root.remove_folder(step_name(100))
    saver.close()
    middle = {name: statistics.median(values) for name, values in found.items()}
    return {
        "size_bytes": size,
        **middle,
        "write_bytes_per_s": size / middle["write_s"],
        "load_bytes_per_s": size / middle["load_s"],
        "blocked_over_copy": _ratio(found, "blocked_s", "copy_s"),
        "write_over_plain": _ratio(found, "write_s", "plain_write_s"),
        "load_over_plain_read": _ratio(found, "load_s", "plain_read_s"),
        "step_beside_a_save_over_step": _ratio(found, "step_beside_a_save_s", "step_s"),
    }


def _ratio(found: dict[str, list[float]], part: str, whole: str) -> float:
    """Median over the rounds: both figures of a round are measured under the same load."""
    return statistics.median(a / b for a, b in zip(found[part], found[whole], strict=True))


def _tensors(engine: Engine) -> list[torch.Tensor]:
    return [value for fragment in engine.fragments() for value in fragment.states.values()]


def _plain_write(folder: Path, images: list[Image]) -> None:
    """The same bytes in the same files, each flushed to the disk, and nothing else."""
    for index, image in enumerate(images):
        path = folder / f"plain-{index}"
        path.unlink(missing_ok=True)  # a new file, as the saver writes: overwriting would reuse allocated blocks
        with path.open("wb") as file:
            file.write(image.content.numpy().data)
            file.flush()
            os.fsync(file.fileno())


def _plain_read(folder: Path, count: int) -> None:
    for index in range(count):
        (folder / f"plain-{index}").read_bytes()


def _resuming(run: Path) -> dict[str, float]:
    """Seconds from the command to the first step of a resumed debug run, and its parts."""
    command = [
        sys.executable,
        "-m",
        "videoar.cluster.entry",
        "train",
        "debug",
        "--run",
        str(run),
        "--log.save-every",
        "5",
    ]
    subprocess.run(command, check=True, capture_output=True)
    root = Storage.open(str(run / "checkpoints"))
    root.remove_folder(step_name(20))
    begun = time.time()
    subprocess.run([*command, "--data.url", str(run / "data")], check=True, capture_output=True)
    resumed = next(line for line in read_lines(run / "events.jsonl") if line["event"] == "resumed")
    first = next(line for line in read_lines(run / "metrics.jsonl") if line["step"] == resumed["step"])
    before = resumed["time"] - begun - resumed["engine_s"] - resumed["load_s"]
    return {
        "imports_and_data_s": before,
        "engine_s": resumed["engine_s"],
        "load_s": resumed["load_s"],
        "first_step_s": first["step_s"],
        "total_s": resumed["time"] - begun + first["step_s"],
    }


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def _seconds(call: Callable[[], object]) -> float:
    return _timed(call)[1]
