"""The packs of a stage before any data exists: the loader's own order over samples of the recipe's shapes.

The lengths of captions are not known yet: every length from one token to `model.text.max_tokens` is assumed to be
equally frequent.
"""

from __future__ import annotations

import itertools

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.loading.packing import WINDOW, PackPlan, PackSampler
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.manifest import SCHEMA, Manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.model.vocabulary import BytesText, LabelText
from videoar.tokenizer.scales import latent_frames

_WINDOWS = 2
"""Number of windows of the loader's order whose packs represent the whole stage."""


def planned_packs(recipe: Recipe, stage: StageConfig) -> tuple[PackPlan, ...]:
    """The first packs of a stage, by the loader's own order, over samples of the recipe's shapes."""
    configs = {config.name: config for config in recipe.data.datasets}
    sampler = PackSampler(
        [_manifest(recipe, configs[part.dataset]) for part in stage.mixture],
        [part.weight for part in stage.mixture],
        stage.tokens_per_pack,
        stage.batch,
        recipe.seed,
        _text(recipe),
        recipe.model.history,
    )
    return tuple(pack for number in range(_WINDOWS) for pack in sampler.window(number))


def _manifest(recipe: Recipe, config: DatasetConfig) -> Manifest:
    """One window of samples: captions of every length and all buckets, in turn."""
    longest = recipe.model.text.max_tokens
    entries = (
        SampleEntry(
            key=str(index),
            sample_id=index,
            dataset=config.name,
            schedule=bucket.schedule,
            num_frames=latent_frames(bucket.num_frames),
            caption="x" * (1 + index % longest),
            label=0,
            shard="",
            offset=0,
            size_bytes=0,
        )
        for index, bucket in zip(range(WINDOW), itertools.cycle(config.buckets), strict=False)
    )
    return Manifest(
        name=config.name,
        url="",
        entries=Entries.of(config.name, entries, SCHEMA),
        tars={},
        hash="",
        tokenizer_hash="",
        schedule_hashes={},
        latent=recipe.data.latent,
        latent_dim=recipe.model.latent_dim,
        fps=config.bucket.fps,
    )


def _text(recipe: Recipe) -> TextTokens:
    """Text lengths for any encoder: a label is one token, and a caption of n letters stands for n tokens."""
    text = recipe.model.text
    return LabelText(text.num_classes) if text.kind == "label" else BytesText(text.max_tokens)
