"""Trains in processes that are hit at a chosen moment, then again: a child is forked for each training."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videoar.cluster.ground.fields.serialize import from_yaml
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, Preempted
from videoar.data_pipeline.loading.loader import StepLoader
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.data_pipeline.storage import objects as storage
from videoar.pretrain import built_steps, run
from videoar.pretrain import train as trainer
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint import saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import make_sampler, open_datasets
from videoar.pretrain.engine.plain import PlainEngine

fault = signal.SIGKILL
"""What happens at the point: the machine dies, or the scheduler sends its notice."""


def die() -> None:
    os.kill(os.getpid(), fault)


def before(owner: Any, name: str, call: int, wanted: Callable[..., bool] = lambda *_: True) -> None:
    """Die when owner.name is called for the n-th time with wanted arguments."""
    after(owner, name, call - 1, wanted, then=die)


def after(owner: Any, name: str, call: int, wanted: Callable[..., bool] = lambda *_: True, then: Any = None) -> None:
    """Die when owner.name returns from its n-th wanted call (`then`: when it is called the next time)."""
    real, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if not wanted(*args):
            return real(*args, **kwargs)
        if then is not None and calls == call:
            then()
        result = real(*args, **kwargs)
        calls += 1
        if then is None and calls == call:
            die()
        return result

    setattr(owner, name, counted)


def half_written(call: int) -> None:
    """Die in the middle of a file of a checkpoint."""
    real, calls = storage.write_local, itertools.count(1)

    def write(path: str, fill: Callable[[Any], object]) -> None:
        if path.endswith(".safetensors") and next(calls) == call:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"half")
                file.flush()
            die()
        real(path, fill)

    storage.write_local = write  # type: ignore[assignment]


def spiky(recipe: Recipe) -> None:
    """The second pack of step 3 has three times the loss at every read: bad data that the run must skip."""
    plan, state = None, LoaderState()
    sampler = make_sampler(recipe, recipe.stages[0], open_datasets(recipe))
    for _ in range(4):
        plan, state = sampler.next(state)
    assert plan is not None
    bad = [entry.key for entry in plan.packs[1].entries]
    real = built_steps.host_pack

    def build(samples: Any, *args: Any, **options: Any) -> Any:
        pack = real(samples, *args, **options)
        if [sample.entry.key for sample in samples] == bad:
            pack.buffer.on("cpu")["loss"]["weights"].mul_(3)
        return pack

    built_steps.host_pack = build  # type: ignore[assignment]


def is_manifest(_: object, key: str, *__: object) -> bool:
    return key.endswith("manifest.json")


def is_latest(_: object, key: str, *__: object) -> bool:
    return key == "latest"


POINTS: dict[str, Callable[[], None]] = {
    "data wait": lambda: before(StepLoader, "__next__", 6),
    "step": lambda: before(PlainEngine, "step", 6),
    "reduction": lambda: before(PlainEngine, "_apply", 6),
    "step over": lambda: after(PlainEngine, "step", 6),
    "copy off the device": lambda: before(saver, "fill_images", 2),
    "first file of a save": lambda: half_written(5),
    "last file of a save": lambda: half_written(8),
    "before the manifest": lambda: before(storage.Storage, "write", 2, is_manifest),
    "after the manifest": lambda: after(storage.Storage, "write", 2, is_manifest),
    "before the pointer": lambda: before(storage.Storage, "write", 3, is_latest),
    "tidying": lambda: before(storage.Storage, "remove_keys", 1),
    "stage ends": lambda: before(run.Run, "end_stage", 1),
    "stage ended": lambda: after(run.Run, "end_stage", 1),
    "validation": lambda: before(run, "validate", 2),
    "rewinding": lambda: before(checkpoint, "amend", 1),
    "rewound": lambda: after(run.Run, "rewind", 1),
}


def kill(recipe_file: str, out: str, *points: str) -> None:
    """Train into OUT/POINT for each point. A line of JSON on stdout reports how the two children of a point ended."""
    recipe = from_yaml(Recipe, Path(recipe_file).read_text(), recipe_file)
    if recipe.faults.spike_factor:
        spiky(recipe)
    for point in points:
        folder = Path(out) / point.replace(" ", "-")
        killed = fork(recipe, folder, lambda point=point: arm(point)) if point != "none" else 0
        print(json.dumps({"point": point, "killed": killed, "ended": fork(recipe, folder, lambda: None)}), flush=True)


def arm(point: str) -> None:
    """`step` dies in a step; `SIGTERM in step` gets that signal there."""
    global fault
    name, _, place = point.rpartition(" in ")
    fault = signal.Signals[name] if name else fault
    POINTS[place]()


def fork(recipe: Recipe, folder: Path, arm: Callable[[], None]) -> int:
    """Train in a child; its exit code, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            arm()
            trainer.train(recipe, folder)
        except Preempted:
            os._exit(EXIT_PREEMPTED)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
