"""Whether a recipe may train in a folder: checked before the first write, so that a refused command changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import also_changed, differences, with_names
from videoar.cluster.ground.fields.serialize import from_yaml
from videoar.cluster.ground.files import check_folder, check_run_folder
from videoar.cluster.ground.process import PREEMPTED_MARKER
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import saved_steps
from videoar.pretrain.config import FaultConfig, LogConfig, ParallelConfig, Recipe
from videoar.pretrain.run_folder import (
    CHECKPOINTS,
    CONFIG,
    DATA,
    ENVIRONMENT,
    EVENTS,
    HEALTH,
    LOCK,
    METRICS,
    SAMPLES,
    TENSORBOARD,
    VALIDATION,
    WANDB,
    WANDB_ID,
    checkpoints,
    read_lines,
)

LINES = (METRICS, VALIDATION, EVENTS)
_OWN = (
    CONFIG,
    ENVIRONMENT,
    CHECKPOINTS,
    HEALTH,
    WANDB_ID,
    WANDB,
    TENSORBOARD,
    DATA,
    SAMPLES,
    PREEMPTED_MARKER,
    LOCK,
    *LINES,
)
_SAVED = ("saved", "resumed", "rewind")
"""Events that happen only in a run that has a checkpoint."""


def check_run(run: Path, recipe: Recipe, *, change: bool = False) -> None:
    """InputError unless `run` is a new folder or that of a run of this recipe; nothing is written.

    With `change` the recipe may differ: the comparison with the checkpoint decides which fields may.
    """
    check_folder("run", run)
    check_run_folder(run, _OWN, CONFIG)
    root, before = checkpoints(run, recipe), saved_recipe(run)
    steps = saved_steps(root)
    if before is None:
        _check_lines(run, steps)
    elif steps or (run / METRICS).exists():  # a run that never took a step may still be corrected
        if not change:
            _check_same(before, recipe, run)
        _check_moved(checkpoints(run, before), root, steps)
    elif not (run / ENVIRONMENT).exists() and before != recipe:
        raise InputError(
            "run", run, f"holds a {CONFIG} that no run has written, with another recipe", "give another --run"
        )
    if not steps and has_saved(run):
        raise InputError(
            "run",
            run,
            f"has saved checkpoints, and {root.url} holds none",
            "restore them, or name their place with --log.checkpoints; to start from scratch, give another --run, or "
            f"remove {' and '.join(name for name in LINES if (run / name).exists())}",
        )


def saved_recipe(run: Path, field: str = "run", remedy: str = "restore it, or give another --run") -> Recipe | None:
    """The recipe that a run was last started with; None if there is none yet. InputError for a damaged one."""
    path = run / CONFIG
    if not path.exists():
        return None
    try:
        return from_yaml(Recipe, path.read_text(encoding="utf-8"), CONFIG)
    except ValueError as error:
        raise InputError(field, run, f"holds a {CONFIG} that is not the recipe of a run ({error})", remedy) from error


def has_saved(run: Path) -> bool:
    """Whether a run records that it has had a checkpoint."""
    return any(event.get("event") in _SAVED for event in _lines(run / EVENTS)) or any(
        line.get("checkpoint_s") is not None for line in _lines(run / METRICS)
    )


def check_beginning(run: Path, recipe: Recipe, origin: str, flag: str) -> bool:
    """Whether a run is still to begin from `origin`; False if it has. InputError if it began in another way."""
    if not (saved_steps(checkpoints(run, recipe)) or (run / METRICS).exists()):
        return True
    if not _has_begun_from(run, origin):
        raise InputError("run", run, f"has not begun from {origin}", f"give another --run, or leave out --{flag}")
    return False


def _has_begun_from(run: Path, origin: str) -> bool:
    """Whether a run records that it began from this step of another run, or with these weights."""
    return any(event.get("event") == "begun_from" and event.get("origin") == origin for event in _lines(run / EVENTS))


def _lines(path: Path) -> list[dict[str, Any]]:
    return read_lines(path) if path.exists() else []


def _check_lines(run: Path, steps: tuple[int, ...]) -> None:
    """Refuse lines without a recipe, unless there are checkpoints: these record the recipe, and are checked later."""
    found = [name for name in LINES if (run / name).exists()]
    if found and not steps:
        raise InputError("run", run, f"holds {found[0]}, but no {CONFIG}", "restore it, or give another --run")


def _check_same(before: Recipe, now: Recipe, run: Path) -> None:
    """InputError if a field that decides the numbers has changed; others (logging, loading, ...) may change."""
    check_numbers(
        before,
        now,
        f"differs from {run / CONFIG}, the recipe of this run",
        "give another --run, the recipe that this run was started with, or --change to continue with this one",
    )


def _check_moved(old: Storage, new: Storage, steps: tuple[int, ...]) -> None:
    """InputError if log.checkpoints leaves the checkpoints behind: the run would silently start again at step 0."""
    if old.url != new.url and not steps and saved_steps(old):
        raise InputError(
            "log.checkpoints",
            new.url,
            f"holds none, and those of this run are in {old.url}",
            "name that folder, or copy them first",
        )


def check_numbers(before: Recipe, now: Recipe, problem: str, remedy: str) -> None:
    """InputError if fields that must not change in a run have; it names all, with the value of the first."""
    if changed := changed_numbers(before, now):
        (field, value), *others = changed.items()
        more = also_changed(with_names(now, other) for other, _ in others)
        raise InputError(with_names(now, field), value, problem + more, remedy)


def changed_numbers(before: Recipe, now: Recipe) -> dict[str, object]:
    """The fields that must not change in a run but have, with their new values."""
    return {field: value for field, (_, value) in differences(numbers(before), numbers(now)).items()}


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
