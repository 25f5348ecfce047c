"""Teacher-forced loss and bit accuracy on held-out samples, by frame and scale, while a run trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from videoar.data_pipeline.loading.pack_reader import PackReader
from videoar.data_pipeline.loading.packing import PackPlan, packs_once
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.batch.pack import Pack, plain_pack
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.data import open_text
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.record.step import accuracy
from videoar.pretrain.run_folder import VALIDATION, append_line


def validate(
    recipe: Recipe,
    stage: StageConfig,
    engine: Engine,
    datasets: dict[str, Manifest],
    step: int,
    run: Path,
    on_progress: Callable[[], object] = lambda: None,
    reporter: Reporter | None = None,
) -> float:
    """Evaluate every validation dataset once, a line for each in validation.jsonl; their mean bit accuracy.

    `on_progress` is called before each pack, so that a long evaluation is not taken for a hang.
    """
    accuracies = []
    for name in recipe.log.validation:
        text = open_text(recipe, {name: datasets[name]})
        plans = packs_once(datasets[name], stage.tokens_per_pack, text, recipe.model.history)
        num_frames = sum(plan.num_frames for plan in plans)
        mine = plans[engine.data_rank :: engine.data_size]
        on_progress()
        packs = _packs(recipe, stage, engine, datasets[name], mine, on_progress)
        tally = engine.evaluate(packs, len(mine), num_frames)
        found = accuracy(tally)
        accuracies.append(float(found["bit_accuracy"]))
        if engine.is_first:
            loss = float(tally.loss_sum) / num_frames
            record = {"step": step, "stage": stage.name, "dataset": name, "loss": loss, **found}
            append_line(run / VALIDATION, json.dumps(record))
            if reporter is not None:
                reporter.validated(record)
    return sum(accuracies) / len(accuracies) if accuracies else 0.0


def _packs(
    recipe: Recipe,
    stage: StageConfig,
    engine: Engine,
    manifest: Manifest,
    plans: tuple[PackPlan, ...],
    on_progress: Callable[[], object],
) -> Iterator[Pack]:
    """The packs without corruption, frame mask or text dropout."""
    with closing(PackReader([manifest], open_text(recipe, {manifest.name: manifest}), recipe.loader)) as reader:
        for plan in plans:
            on_progress()
            yield plain_pack(
                reader.read(plan),
                recipe.model,
                tokens_per_pack=stage.tokens_per_pack,
                window=stage.window,
                device=engine.device,
                content=engine.needs_content,
            )
