"""From a training checkpoint to a folder that `VideoPipeline.from_pretrained` opens."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import filled_folder
from videoar.cluster.ground.processes.surroundings import explained
from videoar.pretrain.checkpoint.format import Checkpoint, CorruptCheckpoint, saved_steps, step_name
from videoar.pretrain.config import Recipe
from videoar.pretrain.export.model_card import check_license, write_card
from videoar.pretrain.guidance import parse_guidance
from videoar.pretrain.model.pretrained import (
    CONFIG,
    TOKENIZER,
    ClipShape,
    DatasetHash,
    ExportConfig,
    Provenance,
    former_export,
    write_shards,
)
from videoar.pretrain.run_folder import checkpoints, read_recipe
from videoar.pretrain.stages import stage_at
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.scales import ScaleSchedule

WeightType = Literal["float32", "bf16"]
Which = Literal["average", "trained"]

log = logging.getLogger(__name__)


def export(
    run: str | Path,
    out: str | Path,
    step: int | None = None,
    *,
    which: Which | None = None,
    dtype: WeightType = "float32",
    guidance: str | None = None,
    continued_guidance: str | None = None,
    license: str = "",
    command: str = "",
) -> Path:
    """Write the weights after `step` steps (None: the newest undamaged checkpoint) to `out`.

    `which` selects the moving average or the trained weights; None: the average if the run keeps one, as in the run's
    samples. `guidance` is the default at inference, `continued_guidance` the default for clips that are continued;
    None: as in the recipe. `license` is the licence of the weights, which the model card names.
    `out` appears when it is complete. The files of an earlier export there are replaced; InputError, before anything
    is written, if it holds any other file.
    """
    run, out = Path(run), Path(out)
    check_license(license)
    recipe = read_recipe(run)
    recipe = with_guidance(recipe, guidance=guidance, continued_guidance=continued_guidance)
    former = former_export(out)
    saved = _checkpoint(recipe, run, step)
    if which == "average" and not saved.has("ema"):
        remedy = "use trained, or train with optimizer.ema_decay above 0"
        raise InputError("which", which, f"is not in {saved.folder}", remedy)
    ema = saved.has("ema") if which is None else which == "average"
    tokenizer = _tokenizer(recipe, saved)
    config = export_config(recipe, run, saved, ema=ema)
    stored = {"float32": torch.float32, "bf16": torch.bfloat16}[dtype]
    try:
        with filled_folder(out, former, last=CONFIG) as writing:
            write_shards(writing, config, ((name, value.to(stored)) for name, value in saved.weights(ema=ema)))
            tokenizer.save(writing / TOKENIZER)
            write_card(writing, config, recipe, run, license, command)
    except SafetensorError as error:  # it names no file
        raise (explained(error, str(out)) or error) from error
    log.info("%s: %s, step %d", out, "the moving average" if ema else "the trained weights", config.provenance.step)
    return out


def with_guidance(recipe: Recipe, *, guidance: str | None = None, continued_guidance: str | None = None) -> Recipe:
    """The recipe with other defaults of guidance; None: as it is.

    InputError if its model has learned nothing to compare with.
    """
    for name, ramp in (("guidance", guidance), ("continued_guidance", continued_guidance)):
        if ramp is not None and not recipe.text_dropout and not parse_guidance(ramp).is_off:
            problem = "compares with the model without text, which was not trained (text_dropout 0)"
            raise InputError(name, ramp, problem, "leave it out")
    return replace(
        recipe,
        guidance=recipe.guidance if guidance is None else guidance,
        continued_guidance=recipe.continued_guidance if continued_guidance is None else continued_guidance,
    )


def export_config(recipe: Recipe, run: Path, saved: Checkpoint, *, ema: bool) -> ExportConfig:
    """The contents of config.json: the model, what it was trained on, and where it comes from."""
    step = int(saved.meta["step"])
    ended = tuple(saved.meta["progress"]["ended"])
    stage = stage_at(recipe.stages, max(step - 1, 0), ended)
    return ExportConfig(
        model=replace(recipe.model, text=replace(recipe.model.text, encoder_hash=saved.meta.get("text_encoder", ""))),
        shapes=_shapes(recipe, stage.index),
        window=stage.stage.window,
        guidance=recipe.exported_guidance,
        continued_guidance=recipe.continued_guidance if recipe.text_dropout else "",
        tokenizer_hash=saved.meta["tokenizer_hash"],
        provenance=Provenance(
            run=run.resolve().name,
            recipe=recipe.name,
            recipe_hash=saved.meta["recipe_hash"],
            step=step,
            ema=ema,
            ended=ended,
            data=tuple(DatasetHash(dataset=name, manifest_hash=value) for name, value in saved.meta["data"].items()),
        ),
    )


def _shapes(recipe: Recipe, last_stage: int) -> tuple[ClipShape, ...]:
    """Each frame size once, at its longest; those of the last stage first, the largest video before the others."""
    buckets = {dataset.name: dataset.buckets for dataset in recipe.data.datasets}
    found: dict[str, ClipShape] = {}
    for stage in reversed(recipe.stages[: last_stage + 1]):
        trained = [bucket for part in stage.mixture for bucket in buckets[part.dataset]]
        size = {bucket: bucket.num_frames * ScaleSchedule.named(bucket.schedule).tokens_per_frame for bucket in trained}
        for bucket in sorted(size, key=lambda bucket: -size[bucket]):
            schedule = ScaleSchedule.named(bucket.schedule)
            shape = ClipShape(
                schedule=schedule.name, schedule_hash=schedule.hash, num_frames=bucket.num_frames, fps=bucket.fps
            )
            found.setdefault(schedule.name, shape)
    return tuple(found.values())


def _checkpoint(recipe: Recipe, run: Path, step: int | None) -> Checkpoint:
    """The checkpoint of a step, or the newest undamaged one; every file of it is hashed."""
    root = checkpoints(run, recipe)
    steps = saved_steps(root)
    damage = None
    for wanted in reversed(steps) if step is None else [step]:
        try:
            found = Checkpoint(root.child(step_name(wanted)))
            found.verify()
            return found
        except CorruptCheckpoint as error:
            damage = error
    known = ", ".join(map(str, steps)) or "none"
    if step is None:
        raise InputError(
            "run", run, f"has no undamaged checkpoint ({damage or 'none was saved'})", "train until one is saved"
        )
    raise InputError("step", step, f"has no undamaged checkpoint ({damage})", f"use one of: {known}") from damage


def _tokenizer(recipe: Recipe, saved: Checkpoint) -> VideoTokenizer:
    """The tokenizer of the data, with its hash checked: other weights would decode to noise."""
    tokenizer, wanted = open_tokenizer(recipe.tokenizer), saved.meta["tokenizer_hash"]
    if tokenizer.hash != wanted:
        raise InputError(
            "data.tokenizer",
            recipe.tokenizer.path or recipe.tokenizer.preset,
            f"has hash {tokenizer.hash}, but the run's data was made by {wanted}",
            "restore the weights that made the data",
        )
    return tokenizer
