"""What packs hold and cost: samples, tokens, attended pairs, FLOPs. It is arithmetic and reads no data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.pretrain.budget.attended_pairs import sample_pairs
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.config import ModelConfig, StageConfig
from videoar.pretrain.model.vocabulary import text_length
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What packs hold and cost: a sum over packs, or a mean."""

    packs: float
    samples: float
    frames: float
    """Latent frames."""
    tokens: float
    """Text and video tokens, without padding."""
    attended_pairs: float
    flops: float
    """FLOPs forward and backward, without recomputation."""

    def times(self, factor: float) -> Work:
        return Work(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


def work_of(packs: Iterable[PackPlan], model: ModelConfig, stage: StageConfig) -> Work:
    """The work of these packs; attended pairs are the mean over the draws of the Random Frame Mask (Eq. 9)."""
    packs = list(packs)
    tokens = sum(pack.num_tokens for pack in packs)
    shared = (stage.window, stage.p_mask, model.text.attention, model.history)
    pairs = sum(
        sample_pairs(entry.schedule, entry.num_frames, text, *shared)
        for pack in packs
        for entry, text in zip(pack.entries, pack.text_lengths, strict=True)
    )
    samples, frames = (sum(counts) for counts in zip(*((len(p.entries), p.num_frames) for p in packs), strict=True))
    return Work(
        packs=float(len(packs)),
        samples=float(samples),
        frames=float(frames),
        tokens=float(tokens),
        attended_pairs=pairs,
        flops=training_flops(model, tokens, pairs),
    )


def flops_per_token(model: ModelConfig, stage: StageConfig, dataset: DatasetConfig) -> float:
    """FLOPs per token of a dataset's samples: every bucket and every length of text is equally frequent."""
    tokens, pairs = 0, 0.0
    shared = (stage.window, stage.p_mask, model.text.attention, model.history)
    for bucket, text in itertools.product(dataset.buckets, range(1, text_length(model.text) + 1)):
        frames = latent_frames(bucket.num_frames)
        tokens += text + ScaleSchedule.named(bucket.schedule).video_tokens(frames, model.history)
        pairs += sample_pairs(bucket.schedule, frames, text, *shared)
    return training_flops(model, tokens, pairs) / tokens
