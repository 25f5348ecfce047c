"""From samples to one pack on the device: layout, model inputs, targets and loss weights.

`training_pack` draws flips, masks and dropped texts; `plain_pack` has nothing random, and `probe_pack`
applies the flips and masks that the caller gives. Each pack is built in two parts: `HostPack` on the host, which the
trainer builds ahead of the step, and then `Pack` on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, Shaped
from torch import Tensor

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.bit_flips import flip_ratios, flip_states, flips
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.error_correction import build_history
from videoar.pretrain.batch.frame_mask import frame_masks, window_mask
from videoar.pretrain.batch.frames import Frames, frame_arrays
from videoar.pretrain.batch.host_buffer import HostBuffer, Parts
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
    """Sum and number of the flip ratios used, over (frame, scale): unlike a mean, both can be added over packs and
    ranks."""


@dataclass(frozen=True, slots=True)
class HostPack:
    """A pack before it is on the device: its layout, and tables and stored bytes in one buffer."""

    layout: PackLayout
    config: ModelConfig
    buffer: HostBuffer
    """The groups `inputs` (of the model) and `loss`, and one for each schedule whose features are computed."""

    def on(self, device: torch.device | str) -> Pack:
        """The pack on a device: after one copy, bits are unpacked, flipped and accumulated there."""
        groups = self.buffer.on(device)
        inputs, loss, k = groups.pop("inputs"), groups.pop("loss"), self.config.latent_dim
        features = torch.zeros(self.layout.length, k, device=device)
        targets = torch.zeros(self.layout.length, k, dtype=torch.bool, device=device)
        for name, arrays in groups.items():
            schedule, wrong = ScaleSchedule.named(name), None
            if "flip_state" in arrays:
                wrong = flips(arrays["flip_state"], arrays["flip_ratio"], schedule, k)
            history = build_history(Frames.of(arrays, schedule, k), schedule, self.config.down, wrong)
            features.index_copy_(0, arrays["rows"], history.features.flatten(0, 1))
            targets.index_copy_(0, arrays["rows"], history.targets.flatten(0, 1))
            if "followed" in arrays:
                followed = history.whole.index_select(0, arrays["followed"])
                features.index_copy_(0, arrays["context_rows"], followed.flatten(0, 1))
        return Pack(self.layout, ModelInputs(features, **inputs), targets, loss["weights"], loss["flip_ratio"])


def training_pack(
    samples: Sequence[Sample],
    recipe: Recipe,
    stage: StageConfig,
    step: int,
    *,
    device: torch.device | str = "cpu",
    content: bool = True,
) -> Pack:
    """A pack as a step trains on it: corrupted history, Random Frame Mask, text dropout."""
    return host_pack(samples, recipe, stage, step, content=content).on(device)


def host_pack(
    samples: Sequence[Sample],
    recipe: Recipe,
    stage: StageConfig,
    step: int,
    *,
    content: bool = True,
    pinned: bool = False,
) -> HostPack:
    """The part of `training_pack` on the host; `pinned` memory is copied to a GPU without waiting.

    The same (seed, step, sample) gives the same inputs and targets in any pack on any rank. Without `content` features
    and targets stay zero: pipeline stages between the first and the last need the layout only.
    """
    correction, histories, flip_ratio = recipe.correction, {}, np.zeros(2, np.float32)
    for schedule, own in _by_schedule(samples).items() if content else ():
        histories[schedule] = frame_arrays(own, with_latent=correction.needs_latent)
        if correction.corruption != "off":
            sample_id, frame = _counters(own)
            ratios = flip_ratios(sample_id, frame, schedule.num_scales, correction, seed=recipe.seed, step=step)
            states = flip_states(sample_id, frame, schedule.num_scales, seed=recipe.seed, step=step)
            histories[schedule] |= {"flip_ratio": [ratios.numpy()], "flip_state": [states.numpy()]}
            flip_ratio += np.array([ratios.sum(), ratios.numel()], np.float32)
    dropped = _dropped(samples, recipe.text_dropout, seed=recipe.seed, step=step)
    layout = training_layout(samples, recipe, stage, step)
    return _assemble(samples, layout, recipe.model, histories, dropped, flip_ratio, pinned)


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
    histories = {
        schedule: frame_arrays(own, with_latent=False)
        for schedule, own in (_by_schedule(samples).items() if content else ())
    }
    masks = [window_mask(sample.entry.num_frames, window) for sample in samples]
    layout = _layout(samples, masks, tokens_per_pack, config)
    dropped = np.zeros(sum(len(sample.text) for sample in samples), dtype=bool)
    return _assemble(samples, layout, config, histories, dropped, np.zeros(2, np.float32)).on(device)


def probe_pack(
    samples: Sequence[Sample],
    config: ModelConfig,
    *,
    tokens_per_pack: int,
    visible: Sequence[Bool[np.ndarray, "_ _"]],
    ratios: Float32[np.ndarray, "f s"],
    seed: int,
    device: torch.device | str = "cpu",
) -> Pack:
    """A pack as a study reads it: `plain_pack`, but bits of the history are flipped, and past frames hidden.

    Bits are flipped with a ratio for each frame (of all samples, in order) and scale, by (seed, sample, frame, scale,
    bit); `visible` has the past frames that each frame sees. Targets are the stored bits. Samples have one schedule.
    """
    ((schedule, own),) = _by_schedule(samples).items()
    states = flip_states(*_counters(own), schedule.num_scales, seed=seed, step=0)
    history = frame_arrays(own, with_latent=False) | {"flip_ratio": [ratios], "flip_state": [states.numpy()]}
    layout = _layout(samples, visible, tokens_per_pack, config)
    dropped = np.zeros(sum(len(sample.text) for sample in samples), dtype=bool)
    return _assemble(samples, layout, config, {schedule: history}, dropped, np.zeros(2, np.float32)).on(device)


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
    histories: Mapping[ScaleSchedule, Parts],
    text_dropped: Bool[np.ndarray, " m"],
    flip_ratio: Float32[np.ndarray, "sum_count=2"],
    pinned: bool = False,
) -> HostPack:
    """The pack's arrays on the host: stored frames with their rows in the pack, and the tables of the layout."""
    tokens = np.concatenate([sample.text for sample in samples])
    inputs = _input_tables(layout, config, tokens, text_dropped)
    groups: dict[str, Parts] = {
        "inputs": {name: [table] for name, table in inputs.items()},
        "loss": {"weights": [layout.loss_weights()], "flip_ratio": [flip_ratio]},
    }
    for schedule, arrays in histories.items():
        tables = {"rows": layout.visual_rows(schedule)}
        if config.history == "context":
            tables |= {"context_rows": layout.context_rows(schedule), "followed": layout.followed_frames(schedule)}
        groups[schedule.name] = {**arrays, **{name: [table] for name, table in tables.items()}}
    return HostPack(layout, config, HostBuffer.of(groups, pinned=pinned))


def _by_schedule(samples: Sequence[Sample]) -> dict[ScaleSchedule, list[Sample]]:
    """The samples of each scale schedule, in order."""
    found: dict[ScaleSchedule, list[Sample]] = {}
    for sample in samples:
        found.setdefault(ScaleSchedule.named(sample.entry.schedule), []).append(sample)
    return found


def _counters(samples: Sequence[Sample]) -> tuple[Int64[Tensor, " f"], Int64[Tensor, " f"]]:
    """Keys of each frame's random draws: the id of its sample, and its index in the sample, from 0."""
    counts = [sample.entry.num_frames for sample in samples]
    sample_id = np.repeat([sample.entry.sample_id for sample in samples], counts)
    return torch.from_numpy(sample_id), torch.cat([torch.arange(count) for count in counts])


def model_inputs(
    layout: PackLayout,
    config: ModelConfig,
    features: Float32[Tensor, "l k"],
    text_tokens: Shaped[np.ndarray, "m ..."],
    text_dropped: Bool[np.ndarray, " m"],
) -> ModelInputs:
    """The features with the tables of the layout, on the features' device."""
    tables = _input_tables(layout, config, text_tokens, text_dropped)
    return ModelInputs(
        features, **{name: torch.from_numpy(array).to(features.device) for name, array in tables.items()}
    )


def _input_tables(
    layout: PackLayout,
    config: ModelConfig,
    text_tokens: Shaped[np.ndarray, "m ..."],
    text_dropped: Bool[np.ndarray, " m"],
) -> dict[str, np.ndarray]:
    """The fields of `ModelInputs` except the features, on the host."""
    for segment in layout.segments:
        check_limits(config, segment.schedule, segment.num_frames)
    return {
        "scale": layout.scale,
        "is_context": layout.is_context,
        "is_start": (layout.frame == 0) & (layout.scale == 0),
        "positions": layout.positions(config.rope),
        "places": layout.places(),
        "text_rows": layout.text_rows,
        "text_tokens": text_tokens,
        "text_index": layout.text_index,
        "text_dropped": text_dropped,
    }


def _dropped(samples: Sequence[Sample], probability: float, *, seed: int, step: int) -> Bool[np.ndarray, " m"]:
    """Which text tokens the null table replaces: all of a sample's or none, by (seed, step, sample)."""
    ids = torch.tensor([sample.entry.sample_id for sample in samples])
    dropped = draw(seed, Stream.TEXT_DROPOUT, step, ids) < probability
    return np.repeat(dropped.numpy(), [len(sample.text) for sample in samples])
