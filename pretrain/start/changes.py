"""Going further: a run continues under a changed recipe (`--change`), or begins from a step of another run (`--from`).

Everything is checked before the first write. Then the first process amends the checkpoint that training continues from:
it gets the new recipe, and the place in the stages that the new recipe gives it. From there on it is resumed as always.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import differences, with_names
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.copying import copy_checkpoint
from videoar.pretrain.checkpoint.format import Checkpoint, amend, saved_steps
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import make_sampler
from videoar.pretrain.engine.learning_rate import learning_rate
from videoar.pretrain.run_folder import checkpoints, record_event
from videoar.pretrain.stages import Plateau, nth_stage
from videoar.pretrain.start.resume import RunProgress, open_checkpoint, order_hash
from videoar.pretrain.start.run_checks import changed_numbers, check_beginning, numbers, saved_recipe

ANYTIME = ("optimizer", "correction", "log", "text_dropout", "precision", "guidance", "name")
"""Fields, and parts of a recipe, that may change at any step."""
WITHIN_A_STAGE = ("steps", "learning_rate", "window", "p_mask", "plateau_patience", "plateau_delta")
"""Fields of a stage that may change after its first step: those that leave the order of its samples as it is."""
_POLL_S = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The checkpoint that a run continues from, and what changes there."""

    root: Storage
    """Storage of the checkpoint: that of this run, or of another run."""
    saved: Checkpoint
    progress: RunProgress
    before: Recipe
    """The recipe of the checkpoint, limited to the fields that decide the numbers."""
    origin: str = ""
    """RUN@STEP if the checkpoint is from another run; otherwise empty."""

    def changes(self, now: Recipe) -> dict[str, tuple[Any, Any]]:
        """Every changed field, with the names of stages and datasets, and its values before and now."""
        found = _differences(self.before, now)
        return {_named(path, self.before, now): values for path, values in found.items()}


def find_change(recipe: Recipe, folder: Path) -> Source:
    """The newest checkpoint of a run that continues under a changed recipe; InputError if a change is not possible."""
    root = checkpoints(folder, recipe)
    if (found := _newest(root)) is not None:
        source = Source(root=root, saved=found[0], progress=found[1], before=_recipe(found[0]))
        _check(source, recipe)
        return source
    raise InputError("change", True, f"finds no checkpoint in {root.url}", "leave it out: the run has not saved yet")


def find_origin(origin: str, recipe: Recipe, folder: Path) -> Source | None:
    """The checkpoint RUN@STEP that a new run begins from; None if the run has begun from it already."""
    run, at, step = origin.rpartition("@")
    if not (at and run and step.isdecimal()):
        raise InputError("from", origin, "is not RUN@STEP", "give the folder of a run and a step that it has saved")
    origin = f"{Path(run).resolve()}@{int(step)}"
    if not check_beginning(folder, recipe, origin, "from"):
        return None
    if (other := saved_recipe(Path(run), "from", "restore it, or begin from another run")) is None:
        raise InputError("from", origin, "is not a run", "give the folder that `videoar train --run` wrote")
    root = checkpoints(Path(run), other)
    steps = saved_steps(root)
    found = open_checkpoint(root, int(step)) if int(step) in steps else None
    if found is None:
        known = ", ".join(map(str, steps)) or "none"
        problem = "has a damaged checkpoint of that step" if int(step) in steps else "has no checkpoint of that step"
        raise InputError("from", origin, problem, f"use one of: {known} (log.keep_every keeps more)")
    source = Source(root=root, saved=found[0], progress=found[1], before=_recipe(found[0]), origin=origin)
    _check(source, recipe)
    return source


def apply(source: Source, recipe: Recipe, folder: Path, datasets: dict[str, Manifest]) -> None:
    """Amend the checkpoint, or copy it into this run; list the changes, and record them in events.jsonl."""
    root, step = checkpoints(folder, recipe), source.progress.step
    progress = continued(source, recipe, datasets)
    meta = {
        "recipe": to_dict(numbers(recipe)),
        "progress": to_dict(progress),
        "order": order_hash(recipe, datasets, progress),
    }
    facts = {"step": step, **_describe(source, progress, recipe)}
    if source.origin:
        record_event(folder, "begun_from", origin=source.origin, **facts)
        copy_checkpoint(source.root, root, step, meta)
    elif source.changes(recipe):
        record_event(folder, "changed", **facts)
        amend(root, step, meta)


def wait_for(recipe: Recipe, folder: Path) -> None:
    """On the other processes: wait until the first one has amended the newest checkpoint."""
    root = checkpoints(folder, recipe)
    while (found := _newest(root)) is None or changed_numbers(_recipe(found[0]), recipe):
        time.sleep(_POLL_S)  # the launcher ends this process if the first one fails


def continued(source: Source, now: Recipe, datasets: dict[str, Manifest]) -> RunProgress:
    """Position of the checkpoint in the stages of the new recipe; a last stage that was made longer is not over."""
    progress, before = source.progress, source.before
    last = len(before.stages) - 1
    if not progress.is_over(before) or now.stages[last].steps <= before.stages[last].steps:
        return progress
    done = progress.step - nth_stage(before.stages, last, progress.ended).first_step
    if now.stages[last].steps <= done:
        return progress
    loader = progress.finished
    if loader is None:  # saved by an earlier version without this state: compute it step by step
        sampler, loader = make_sampler(now, now.stages[last], datasets), LoaderState()
        for _ in range(done):
            loader = sampler.next(loader)[1]
    return replace(progress, ended=progress.ended[:-1], loader=loader, plateau=Plateau(), finished=None)


def _newest(root: Storage) -> tuple[Checkpoint, RunProgress] | None:
    """The newest checkpoint whose manifest is whole, and where its run was."""
    found = (open_checkpoint(root, step) for step in reversed(saved_steps(root)))
    return next((one for one in found if one is not None), None)


def _recipe(saved: Checkpoint) -> Recipe:
    return from_dict(Recipe, saved.meta["recipe"], saved.folder)


def _differences(before: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """The fields that decide the numbers and differ; a text encoder that the new recipe does not name counts as
    unchanged."""
    text = now.model.text
    if not text.encoder_hash:
        text = replace(text, encoder_hash=before.model.text.encoder_hash)
    return differences(numbers(before), numbers(replace(now, model=replace(now.model, text=text))))


def _check(source: Source, now: Recipe) -> None:
    """InputError for the first change that does not fit the weights or the steps that were already trained."""
    progress, before = source.progress, source.before
    found = _differences(before, now)
    for path, (_, value) in found.items():
        if (problem := _problem(path, source, now)) is not None:
            raise InputError(_named(path, before, now), value, problem, "begin a new run without --from for it")
    current = min(len(progress.ended), len(before.stages) - 1)
    place = nth_stage(before.stages, current, progress.ended)
    trained = progress.step - place.first_step
    if len(now.stages) <= current or now.stages[current].steps < min(trained, place.stage.steps):
        raise InputError(
            f"stages.{place.stage.name}.steps",
            now.stages[current].steps if len(now.stages) > current else 0,
            f"is less than the {trained} steps that the run has trained in this stage",
            "raise it",
        )
    has_steps = len(now.stages) > current + 1 or now.stages[current].steps > trained
    if (found or source.origin) and not has_steps:
        field, value = ("from", source.origin) if source.origin else ("change", True)
        raise InputError(field, value, "leaves no step to train", "raise the steps of the last stage, or append one")


def _problem(path: str, source: Source, now: Recipe) -> str | None:
    """Why a field may not change; None if it may."""
    progress, before = source.progress, source.before
    part, *rest = path.split(".")
    if part in ANYTIME:
        return None
    if part == "data" and rest[0] == "datasets" and int(rest[1]) >= len(before.data.datasets):
        return None
    if part != "stages":
        return "cannot change within a run"
    index, over = int(rest[0]), progress.is_over(before)
    current = len(progress.ended) - over
    if index < current:
        return "belongs to a stage that has ended"
    begun = index == current and (over or progress.step > progress.position(before).first_step)
    return "cannot change after the first step of its stage" if begun and rest[1] not in WITHIN_A_STAGE else None


def _named(path: str, before: Recipe, now: Recipe) -> str:
    """The field as it is written in options; an item that one recipe lacks has its name from the other recipe."""
    named = with_names(now, path)
    return named if named != path else with_names(before, path)


def _describe(source: Source, progress: RunProgress, now: Recipe) -> Mapping[str, object]:
    """Log the changes and their effect on the schedule; returns the same facts as fields of an event."""
    before, step = source.before, source.progress.step
    changes = source.changes(now)
    rates = [learning_rate(before, step, source.progress.ended), learning_rate(now, step, progress.ended)]
    lengths = [before.num_steps, now.num_steps]
    for path, (old, new) in changes.items():
        log.info("change: %s: %s -> %s", path, old, new)
    if changes:
        log.info(
            "change: from step %d on; the learning rate there is %.3g (it would have been %.3g), and the schedule ends "
            "at step %d (it ended at %d)",
            *(step, rates[1], rates[0], lengths[1], lengths[0]),
        )
    return {"changes": {path: list(pair) for path, pair in changes.items()}, "rates": rates, "num_steps": lengths}
