"""Training clips of a tokenizer per second: decoded from real films by 1 and 2 decoders, and cut from memory."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.data_pipeline.tokenizer_clips.batches import RandomClips
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket

BUCKET = TrainingBucket(schedule="128x128", num_frames=17, fps=24.0)
_BATCH = 8
_WAYS = {"decoders_1": ("files", 1), "decoders_2": ("files", 2), "memory": ("memory", 1)}


def run(num_steps: int = 5, rounds: int = 3, source: SourceConfig | None = None) -> dict[str, Any]:
    """Median rates over rounds in which the ways take turns, and the ratio of the two numbers of decoders."""
    films = ClipShare(source=source or package_clips(0.0, 0.8))
    rates: dict[str, list[float]] = {name: [] for name in _WAYS}
    for _ in range(rounds):
        for name, (hold, decoders) in _WAYS.items():
            share = replace(films, hold=hold)  # type: ignore[arg-type]  # one of its literals
            rates[name].append(_rate(_recipe(share, decoders, num_steps)))
    clips_per_s = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "clip": f"{BUCKET.num_frames}x{BUCKET.schedule}",
        "clips": _BATCH * num_steps,
        "rounds": rounds,
        "clips_per_s": clips_per_s,
        "two_over_one": statistics.median(
            two / one for one, two in zip(rates["decoders_1"], rates["decoders_2"], strict=True)
        ),
    }


def _recipe(films: ClipShare, decoders: int, num_steps: int) -> TokenizerRecipe:
    train = TokenizerTrainConfig(buckets=(BUCKET,), steps=1 + num_steps, batch_size=_BATCH)
    return TokenizerRecipe(
        name="clips",
        tokenizer=preset_config("tiny"),
        train=train,
        clips=(films,),
        augment=AugmentConfig(),
        decode_processes=decoders,
    )


def _rate(recipe: TokenizerRecipe) -> float:
    """Clips per second after the first step, which starts the decoders or fills the memory."""
    with RandomClips(recipe) as clips:
        clips(0, range(_BATCH))
        began = time.perf_counter()
        for step in range(1, recipe.train.steps):
            clips(step, range(_BATCH))
        return _BATCH * (recipe.train.steps - 1) / (time.perf_counter() - began)
