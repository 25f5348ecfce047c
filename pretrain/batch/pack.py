"""From samples to one pack on the device: layout, model inputs, targets and loss weights.

`training_pack` draws flips, masks and dropped texts; `plain_pack` has nothing random. Both share `_assemble`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped
from torch import Tensor

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.bit_flips import flip_ratios, flips
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.error_correction import FlipsOfScale, History, build_history
from videoar.pretrain.batch.frame_mask import frame_masks, window_mask
from videoar.pretrain.batch.frames import Frames, to_device
from videoar.pretrain.config import ModelConfig, Recipe, StageConfig
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.limits import check_limits
from videoar.pretrain.model.videoar import ModelInputs
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, slots=True)
class Pack:
    """One microbatch: a sequence of whole samples with its targets."""

    layout: PackLayout
    inputs: ModelInputs
    targets: Bool[Tensor, "l k"]
    """Bits to predict; False on rows that have none: text, context and padding."""
    weights: Float32[Tensor, " l"]
    """Weight of each token's loss: a frame sums to 1; 0 on rows without bits."""
    flip_ratio: Float32[Tensor, "sum_count=2"]
    """Sum of the flip ratios used over (frame, scale), and how many: sums reduce over packs and ranks, means do not."""


def training_pack(
    samples: Sequence[Sample],
    recipe: Recipe,
    stage: StageConfig,
    step: int,
    *,
    device: torch.device | str = "cpu",
    content: bool = True,
) -> Pack:
    """A pack as a step trains on it: corrupted history, Random Frame Mask, text dropout.

    The same (seed, step, sample) gives the same inputs and targets in any pack on any rank. Without `content` features
    and targets stay empty: pipeline stages between the first and the last need the layout only.
    """
    config, correction, seed = recipe.model, recipe.correction, recipe.seed
    ratio = torch.zeros(2, device=device)
    histories: list[tuple[ScaleSchedule, History]] = []
    for schedule in _schedules(samples) if content else ():
        frames, flip = Frames.of(samples, schedule, with_latent=correction.needs_latent, device=device), None
        if correction.corruption != "off":
            ratios = flip_ratios(frames, schedule.num_scales, correction, seed=seed, step=step)
            ratio += torch.stack([ratios.sum(), torch.full_like(ratio[1], ratios.numel())])
            flip = _flips_of_scale(frames, ratios, seed=seed, step=step)
        histories.append((schedule, build_history(frames, schedule, config.down, flip)))
    dropped = _dropped(samples, recipe.text_dropout, seed=seed, step=step)
    return _assemble(samples, training_layout(samples, recipe, stage, step), config, histories, dropped, ratio)


def plain_pack(
    samples: Sequence[Sample],
    config: ModelConfig,
    *,
    tokens_per_pack: int,
    window: int,
    device: torch.device | str = "cpu",
    content: bool = True,
) -> Pack:
    """A pack as evaluation and diagnosis read it, with nothing random: stored bits in and out, every text kept."""
    histories = [
        (schedule, build_history(Frames.of(samples, schedule, with_latent=False, device=device), schedule, config.down))
        for schedule in (_schedules(samples) if content else ())
    ]
    masks = [window_mask(sample.entry.num_frames, window) for sample in samples]
    layout = _layout(samples, masks, tokens_per_pack, config)
    dropped = np.zeros(sum(len(sample.text) for sample in samples), dtype=bool)
    return _assemble(samples, layout, config, histories, dropped, torch.zeros(2, device=device))


def training_layout(samples: Sequence[Sample], recipe: Recipe, stage: StageConfig, step: int) -> PackLayout:
    """Segments of the samples in order, each with the frames that it may see at this step."""
    masks = frame_masks(
        [sample.entry.sample_id for sample in samples],
        [sample.entry.num_frames for sample in samples],
        window=stage.window,
        p_mask=stage.p_mask,
        seed=recipe.seed,
        step=step,
    )
    return _layout(samples, masks, stage.tokens_per_pack, recipe.model)


def _layout(
    samples: Sequence[Sample], masks: Sequence[Bool[np.ndarray, "_ _"]], tokens_per_pack: int, config: ModelConfig
) -> PackLayout:
    segments: list[Segment] = []
    for sample, mask in zip(samples, masks, strict=True):
        start = segments[-1].visual.stop if segments else 0
        schedule = ScaleSchedule.named(sample.entry.schedule)
        frames = sample.entry.num_frames
        segments.append(Segment(schedule, frames, len(sample.text), start, mask, config.history))
    return PackLayout(tuple(segments), tokens_per_pack, config.text.attention)


def _assemble(
    samples: Sequence[Sample],
    layout: PackLayout,
    config: ModelConfig,
    histories: Iterable[tuple[ScaleSchedule, History]],
    text_dropped: Bool[np.ndarray, " m"],
    flip_ratio: Float32[Tensor, "sum_count=2"],
) -> Pack:
    """Features and targets in the rows of their frames, with the tables of the layout."""
    device = flip_ratio.device
    features = torch.zeros(layout.length, config.latent_dim, device=device)
    targets = torch.zeros(layout.length, config.latent_dim, dtype=torch.bool, device=device)
    for schedule, history in histories:
        rows = to_device(layout.visual_rows(schedule), device)
        features[rows], targets[rows] = history.features.flatten(0, 1), history.targets.flatten(0, 1)
        if config.history == "context":
            followed = to_device(layout.followed_frames(schedule), device)
            features[to_device(layout.context_rows(schedule), device)] = history.whole[followed].flatten(0, 1)
    tokens = np.concatenate([sample.text for sample in samples])
    inputs = model_inputs(layout, config, features, tokens, text_dropped)
    return Pack(layout, inputs, targets, to_device(layout.loss_weights(), device), flip_ratio)


def _schedules(samples: Sequence[Sample]) -> list[ScaleSchedule]:
    """The scale schedules of the samples, each once."""
    return [ScaleSchedule.named(name) for name in dict.fromkeys(sample.entry.schedule for sample in samples)]


def _flips_of_scale(frames: Frames, ratios: Float32[Tensor, "f s"], *, seed: int, step: int) -> FlipsOfScale:
    return lambda scale, shape: flips(frames, scale, ratios[:, scale], shape, seed=seed, step=step)


def model_inputs(
    layout: PackLayout,
    config: ModelConfig,
    features: Float32[Tensor, "l k"],
    text_tokens: Shaped[np.ndarray, "m ..."],
    text_dropped: Bool[np.ndarray, " m"],
) -> ModelInputs:
    """The features with the tables of the layout, on the features' device."""
    for segment in layout.segments:
        check_limits(config, segment.schedule, segment.num_frames)
    device = features.device
    return ModelInputs(
        features=features,
        scale=to_device(layout.scale, device),
        is_context=to_device(layout.is_context, device),
        is_start=to_device((layout.frame == 0) & (layout.scale == 0), device),
        positions=to_device(layout.positions(config.rope), device),
        places=to_device(layout.places(), device),
        text_rows=to_device(layout.text_rows, device),
        text_tokens=to_device(text_tokens, device),
        text_index=to_device(layout.text_index, device),
        text_dropped=to_device(text_dropped, device),
    )


def _dropped(samples: Sequence[Sample], probability: float, *, seed: int, step: int) -> Bool[np.ndarray, " m"]:
    """Which text tokens the null table replaces: all of a sample's or none, by (seed, step, sample)."""
    ids = torch.tensor([sample.entry.sample_id for sample in samples])
    dropped = draw(seed, Stream.TEXT_DROPOUT, step, ids) < probability
    return np.repeat(dropped.numpy(), [len(sample.text) for sample in samples])
