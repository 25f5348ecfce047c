"""Saving a run and going on from it, under the same layout of processes or another."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict
from pathlib import Path

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import to_yaml
from videoar.data_pipeline.manifest import Manifest
from videoar.data_pipeline.packing import LoaderState
from videoar.pretrain import checkpoint
from videoar.pretrain.checkpoint import Checkpoint
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import make_sampler
from videoar.pretrain.engine import Engine
from videoar.pretrain.run_folder import CHECKPOINTS
from videoar.pretrain.stages import stage_at

log = logging.getLogger(__name__)


def save(
    recipe: Recipe, run: Path, engine: Engine, datasets: dict[str, Manifest], step: int, loader: LoaderState
) -> None:
    """Write the state after `step` steps; the checkpoint is there complete, or it is not there.

    Every process writes what it owns into one temporary folder, which must be visible to all; the first one commits.
    """
    root = run / CHECKPOINTS
    folder = engine.broadcast(checkpoint.begin(root) if engine.is_first else None)
    assert folder is not None
    parts = engine.gather(checkpoint.write_part(folder, engine.rank, engine.fragments()))
    if parts is not None:
        checkpoint.commit(root, folder, parts, _meta(recipe, engine, datasets, step, loader))
        checkpoint.remove_old(root, recipe.log.keep_last)


def resume(recipe: Recipe, run: Path, engine: Engine, datasets: dict[str, Manifest]) -> tuple[int, LoaderState]:
    """Load the newest whole checkpoint into the engine: (next step, loader state); (0, start) for a new run."""
    newest = checkpoint.newest(run / CHECKPOINTS) if engine.is_first else None
    folder = engine.broadcast(newest.folder if newest is not None else None)
    if folder is None:
        return 0, LoaderState()
    saved = newest or Checkpoint(folder, verify=False)  # the first process has hashed it
    step = int(saved.meta["step"])
    if step < recipe.num_steps:
        order = _order_hash(recipe, datasets, step)
        if saved.meta["order"] != order:
            raise InputError(
                "data.url", recipe.data.url, f"gives another order of samples than {folder} was trained on",
                "name the data that the run began with",
            )  # fmt: skip
    engine.load(saved)
    return step, LoaderState(**saved.meta["loader"])


def recipe_hash(recipe: Recipe) -> str:
    """Sixteen hex digits of the resolved recipe."""
    return hashlib.sha256(to_yaml(recipe).encode()).hexdigest()[:16]


def _meta(
    recipe: Recipe, engine: Engine, datasets: dict[str, Manifest], step: int, loader: LoaderState
) -> dict[str, object]:
    stage = stage_at(recipe.stages, max(step - 1, 0)).stage
    return {
        "step": step,
        "updates": engine.updates,
        "stage": stage.name,
        "loader": asdict(loader),
        "order": _order_hash(recipe, datasets, step),
        "recipe_hash": recipe_hash(recipe),
        "tokenizer_hash": next(iter(datasets.values())).tokenizer_hash,
        "data": {name: manifest.hash for name, manifest in datasets.items()},
    }


def _order_hash(recipe: Recipe, datasets: dict[str, Manifest], step: int) -> str:
    """Of everything that decides which samples the next step reads."""
    return make_sampler(recipe, stage_at(recipe.stages, step).stage, datasets).hash
