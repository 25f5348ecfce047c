"""From samples to one pack on the device: layout, model inputs, targets and loss weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.sample import Sample, StoredLatent
from videoar.data_pipeline.shards.sample_format import restore, unpack
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.frame_mask import frame_masks
from videoar.pretrain.batch.history import Frames, build_history, flip_ratios
from videoar.pretrain.config import CorrectionConfig, ModelConfig, StageConfig
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.limits import check_limits
from videoar.pretrain.model.videoar import ModelInputs
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, slots=True)
class Pack:
    """One microbatch: a sequence of whole samples, and what is asked of it."""

    layout: PackLayout
    inputs: ModelInputs
    targets: Bool[Tensor, "l k"]
    """Bits to predict; False beside the frames."""
    weights: Float32[Tensor, " l"]
    """Weight of each token's loss: a frame sums to 1; 0 beside the frames."""
    flip_ratio: Float32[Tensor, "sum_count=2"]
    """Sum of the flip ratios used over (frame, scale), and how many: sums reduce over packs and ranks, means do not."""


def build_pack(
    samples: tuple[Sample, ...],
    *,
    config: ModelConfig,
    stage: StageConfig,
    correction: CorrectionConfig,
    text_dropout: float,
    seed: int,
    step: int,
    training: bool,
    device: torch.device | str = "cpu",
    content: bool = True,
) -> Pack:
    """Assemble a pack; the same (seed, step, sample) gives the same inputs and targets in any pack on any rank.

    With `training` False nothing is random: stored bits in and out, the window alone, no text dropped. Without
    `content` features and targets stay empty: pipeline stages between the first and the last need the layout only.
    """
    if not training:
        correction = CorrectionConfig(corruption="off")
    layout = pack_layout(samples, config, stage, seed=seed, step=step, training=training)
    features = torch.zeros(stage.tokens_per_pack, config.latent_dim, device=device)
    targets = torch.zeros(stage.tokens_per_pack, config.latent_dim, dtype=torch.bool, device=device)
    ratio = torch.zeros(2, device=device)
    for schedule in dict.fromkeys(segment.schedule for segment in layout.segments if content):
        frames = _frames(samples, schedule, correction, device)
        ratios = None
        if correction.corruption != "off":
            ratios = flip_ratios(frames, schedule.num_scales, correction, seed=seed, step=step)
            ratio += torch.stack([ratios.sum(), torch.full_like(ratio[1], ratios.numel())])
        history = build_history(frames, schedule, config.down, ratios, seed=seed, step=step)
        rows = _to(layout.visual_rows(schedule), device)
        features[rows], targets[rows] = history.features.flatten(0, 1), history.targets.flatten(0, 1)
    dropped = _dropped(samples, text_dropout if training else 0.0, seed=seed, step=step)
    tokens = np.concatenate([sample.text for sample in samples])
    inputs = model_inputs(layout, config, features, tokens, dropped)
    return Pack(layout, inputs, targets, _to(layout.loss_weights(), device), ratio)


def pack_layout(
    samples: Sequence[Sample], config: ModelConfig, stage: StageConfig, *, seed: int, step: int, training: bool
) -> PackLayout:
    """Segments of the samples in order, each with the frames that it may see at this step."""
    entries = [sample.entry for sample in samples]
    masks = frame_masks(
        [entry.sample_id for entry in entries],
        [entry.num_frames for entry in entries],
        window=stage.window,
        p_mask=stage.p_mask if training else 0.0,
        seed=seed,
        step=step,
    )
    segments: list[Segment] = []
    for sample, mask in zip(samples, masks, strict=True):
        start = segments[-1].visual.stop if segments else 0
        schedule = ScaleSchedule.named(sample.entry.schedule)
        segments.append(Segment(schedule, sample.entry.num_frames, len(sample.text), start, mask))
    return PackLayout(tuple(segments), stage.tokens_per_pack, config.text.attention)


def model_inputs(
    layout: PackLayout,
    config: ModelConfig,
    features: Float32[Tensor, "l k"],
    text_tokens: Shaped[np.ndarray, "m ..."],
    text_dropped: Bool[np.ndarray, " m"],
) -> ModelInputs:
    """The layout's tables beside the features, on the features' device."""
    for segment in layout.segments:
        check_limits(config, segment.schedule, segment.num_frames)
    device = features.device
    return ModelInputs(
        features=features,
        scale=_to(layout.scale, device),
        is_start=_to((layout.frame == 0) & (layout.scale == 0), device),
        positions=_to(layout.positions(config.rope), device),
        places=_to(layout.places(), device),
        text_rows=_to(layout.text_rows, device),
        text_tokens=_to(text_tokens, device),
        text_index=_to(layout.text_index, device),
        text_dropped=_to(text_dropped, device),
    )


def _frames(
    samples: Sequence[Sample], schedule: ScaleSchedule, correction: CorrectionConfig, device: torch.device | str
) -> Frames:
    """The frames of this schedule's samples, one after the other, on the device."""
    chosen = [sample for sample in samples if sample.entry.schedule == schedule.name]
    counts = [sample.entry.num_frames for sample in chosen]
    bits, latent = unpack([sample.codes for sample in chosen], device), None
    if correction.needs_latent:
        latent = restore([_latent(sample) for sample in chosen], bits, schedule)
    return Frames(
        bits=bits,
        latent=latent,
        sample_id=_to(np.repeat([sample.entry.sample_id for sample in chosen], counts), device),
        frame=_to(np.concatenate([np.arange(count) for count in counts]), device),
    )


def _latent(sample: Sample) -> StoredLatent:
    if sample.latent is None:
        raise InputError(
            "correction.targets",
            "corrected",
            f"needs the latent, and the shard of {sample.entry.key} holds bits only",
            "prepare the data with data.latent=int8, or set correction.targets=stored or correction.corruption=off",
        )
    return sample.latent


def _dropped(samples: Sequence[Sample], probability: float, *, seed: int, step: int) -> Bool[np.ndarray, " m"]:
    """Which text tokens give way to the null table: all of a sample's or none, by (seed, step, sample)."""
    ids = torch.tensor([sample.entry.sample_id for sample in samples])
    dropped = draw(seed, Stream.TEXT_DROPOUT, step, ids) < probability
    return np.repeat(dropped.numpy(), [len(sample.text) for sample in samples])


def _to(array: np.ndarray, device: torch.device | str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
