"""Resuming: where a run is, what its checkpoints record of that, and how the newest whole one is loaded.

Going back after a loss spike is `run.Run.rewind`.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_dict, to_dict, to_yaml
from videoar.cluster.ground.process import World
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, CorruptCheckpoint, saved_steps, step_name
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import make_sampler
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.stages import Plateau, StagePosition, nth_stage, stage_at
from videoar.pretrain.start.run_checks import check_numbers, numbers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunProgress:
    """Everything except weights and optimizer that decides how a run continues."""

    step: int = 0
    """The next step to train."""
    loader: LoaderState = field(default_factory=LoaderState)
    """Where the loader of the stage continues."""
    ended: tuple[int, ...] = ()
    """Steps at which the finished stages ended."""
    plateau: Plateau = field(default_factory=Plateau)
    """The plateau of the current stage."""
    validated: int = -1
    """The step at which the held-out samples were last evaluated."""
    skipped: int = 0
    """Steps skipped in a row because their loss or gradient was not finite."""
    losses: tuple[float, ...] = ()
    """Losses of the last steps, oldest first, with which a spike is compared."""
    rewinds: int = 0
    """Rewinds of the run so far."""
    finished: LoaderState | None = None
    """Where the loader was at the end of the stage that ended last: a longer stage continues there."""

    def position(self, recipe: Recipe) -> StagePosition:
        """The current stage: it is over when its end is noted in `ended`, not when its steps are done."""
        return nth_stage(recipe.stages, len(self.ended), self.ended)

    def is_over(self, recipe: Recipe) -> bool:
        """Whether every stage has ended."""
        return len(self.ended) == len(recipe.stages)


@dataclass(frozen=True, slots=True)
class Resumed:
    """An engine that is ready to train, and where its run is."""

    engine: Engine
    progress: RunProgress
    engine_s: float = 0.0
    """Seconds to build the engine."""
    load_s: float = 0.0
    """Seconds to read, hash and copy the checkpoint."""


def resume(recipe: Recipe, world: World, root: Storage, datasets: dict[str, Manifest]) -> Resumed:
    """An engine with the newest whole checkpoint, or with initial weights if there is none, and where its run is.

    Damaged checkpoints are named in the log and skipped. A run whose checkpoints are all damaged is refused:
    starting it again at step 0 without a message would lose its work.
    """
    engine: Engine | None = None
    steps = saved_steps(root)
    for saved, progress in filter(None, (open_checkpoint(root, step) for step in reversed(steps))):
        _check_order(recipe, datasets, saved, progress)
        begun = time.perf_counter()
        engine = _fitting(engine, recipe, progress, world)
        built = time.perf_counter()
        if load(engine, saved):
            return Resumed(engine, progress, built - begun, time.perf_counter() - built)
    if steps:
        raise InputError(
            "run",
            root.url,
            f"holds checkpoints of steps {', '.join(map(str, steps))}, and none is whole",
            "restore one; to start from scratch, give another --run",
        )
    return Resumed(_fitting(engine, recipe, RunProgress(), world), RunProgress())


def load(engine: Engine, saved: Checkpoint) -> bool:
    """Fill the engine; False on every process if any process found the checkpoint damaged."""
    damage = None
    try:
        engine.load(saved)
    except CorruptCheckpoint as error:
        damage = error
        log.warning("checkpoint skipped: %s", error)
    step = int(saved.meta["step"])
    damaged, highest, lowest = engine.agree((damage is not None, step, -step))
    if highest != -lowest:
        raise RuntimeError(
            f"processes see different checkpoints, of steps {-lowest} to {highest}; give all of them the same storage"
        )
    if not damaged:
        engine.share_weights()
    return not damaged


def meta(recipe: Recipe, updates: int, datasets: dict[str, Manifest], progress: RunProgress) -> dict[str, Any]:
    """What a checkpoint records in addition to its tensors; `updates` counts the optimizer steps that were applied."""
    return {
        "step": progress.step,
        "updates": updates,
        "stage": stage_at(recipe.stages, max(progress.step - 1, 0), progress.ended).stage.name,
        "progress": to_dict(progress),
        "order": order_hash(recipe, datasets, progress),
        "recipe_hash": recipe_hash(recipe),
        "recipe": to_dict(numbers(recipe)),
        "tokenizer_hash": next(iter(datasets.values())).tokenizer_hash,
        "text_encoder": recipe.model.text.encoder_hash,
        "data": {name: manifest.hash for name, manifest in datasets.items()},
    }


def recipe_hash(recipe: Recipe) -> str:
    """Sixteen hex digits of the resolved recipe."""
    return hashlib.sha256(to_yaml(recipe).encode()).hexdigest()[:16]


def open_checkpoint(root: Storage, step: int) -> tuple[Checkpoint, RunProgress] | None:
    """The checkpoint of a step and where its run was; None, with a warning, if it is damaged or incomplete."""
    try:
        saved = Checkpoint(root.child(step_name(step)))
        return saved, from_dict(RunProgress, saved.meta["progress"], saved.folder)
    except (CorruptCheckpoint, InputError) as error:
        log.warning("checkpoint skipped: %s", error)
    except (KeyError, TypeError, AttributeError) as error:
        log.warning("checkpoint skipped: %s, step %d, does not record where the run was (%r)", root.url, step, error)
    return None


def _fitting(engine: Engine | None, recipe: Recipe, progress: RunProgress, world: World) -> Engine:
    """An engine that is cut as the stage says: the given engine if it fits, otherwise a new one."""
    parallel = recipe.parallel_of(progress.position(recipe).stage)
    if engine is not None and engine.parallel == parallel:
        return engine
    if engine is not None:
        engine.close()
    return make_engine(replace(recipe, parallel=parallel), world)


def _check_order(recipe: Recipe, datasets: dict[str, Manifest], saved: Checkpoint, progress: RunProgress) -> None:
    """InputError for a checkpoint of another recipe, other text states or other data."""
    check_numbers(
        from_dict(Recipe, saved.meta["recipe"], saved.folder),
        recipe,
        f"is not what {saved.folder} was trained with",
        "give each run its own log.checkpoints, or use the recipe that this run was started with",
    )
    encoder, before = recipe.model.text.encoder_hash, saved.meta.get("text_encoder", "")
    if encoder != before:
        raise InputError(
            "model.text.encoder_hash",
            encoder,
            f"is not the {before or 'none'} that {saved.folder} was trained with",
            "use the states that the run was started with",
        )
    if not progress.is_over(recipe) and saved.meta["order"] != order_hash(recipe, datasets, progress):
        raise InputError(
            "data.url",
            recipe.data.url,
            f"gives another order of samples than {saved.folder} was trained on",
            "use the data that the run was started with",
        )


def order_hash(recipe: Recipe, datasets: Mapping[str, Manifest], progress: RunProgress) -> str:
    """Hash of everything that decides which samples the next step reads."""
    return make_sampler(recipe, progress.position(recipe).stage, dict(datasets)).hash
