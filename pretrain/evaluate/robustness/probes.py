"""How many bits a model predicts correctly when the history is changed: bits are flipped, or frames hidden.

Every count is a function of (model, seed, clip): flips and masks are drawn by a hash of seed, clip, frame, scale and
bit, so they are the same for all arms of a study, and for batches of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from videoar.data_pipeline.shards.sample import PackedBits, Sample
from videoar.pretrain.batch.frame_mask import frame_masks, window_mask
from videoar.pretrain.batch.pack import Pack, probe_pack
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.tokenizer.scales import ScaleSchedule

PACK_TOKENS = 4096
"""Tokens that are computed at once."""

Counts = Float64[np.ndarray, "n t s"]
"""Bits guessed right, by clip, latent frame and scale."""


def first_frames(sample: Sample, count: int) -> Sample:
    """A clip cut after its first latent frames. The tokenizer is causal: these are the bits of the shorter clip."""
    codes = PackedBits.of(sample.bits[:count])
    return Sample(replace(sample.entry, num_frames=count), codes, None, sample.text)


def clean(model: VideoAR, samples: Sequence[Sample], window: int) -> Counts:
    """Nothing flipped, nothing hidden (M6; past the trained length M3)."""
    return right_bits(model, samples, _ratios(samples), _windows(samples, window), 0)


def flipped(
    model: VideoAR, samples: Sequence[Sample], window: int, ratio: float, seed: int
) -> Float64[np.ndarray, " n"]:
    """The last frame, with this share of the bits of all earlier frames flipped (M1)."""
    return after_flips(model, samples, window, ratio, seed).sum(1)


def after_flips(
    model: VideoAR, samples: Sequence[Sample], window: int, ratio: float, seed: int
) -> Float64[np.ndarray, "n s"]:
    """The same for each scale of the last frame, whose own coarser scales are the true ones."""
    ratios = _ratios(samples)
    ratios[:, :-1] = ratio
    return right_bits(model, samples, ratios, _windows(samples, window), seed)[:, -1]


def inherited(
    model: VideoAR, samples: Sequence[Sample], window: int, ratio: float, seed: int
) -> Float64[np.ndarray, " n"]:
    """The first scales of all frames t after the first, each with flips in the last scale of frame t - 1 alone (M2)."""
    found = np.zeros(len(samples))
    for frame in range(1, samples[0].entry.num_frames):
        cut = [first_frames(sample, frame + 1) for sample in samples]
        ratios = _ratios(cut)
        ratios[:, frame - 1, -1] = ratio
        found += right_bits(model, cut, ratios, _windows(cut, window), seed)[:, frame, 0]
    return found


def hidden(
    model: VideoAR, samples: Sequence[Sample], window: int, p_hidden: float, seed: int
) -> Float64[np.ndarray, " n"]:
    """All frames after the first, while each past frame is hidden from a frame with this probability (M5)."""
    masks = frame_masks(
        [sample.entry.sample_id for sample in samples],
        [sample.entry.num_frames for sample in samples],
        window=window,
        p_mask=p_hidden,
        seed=seed,
        step=0,
    )
    return right_bits(model, samples, _ratios(samples), masks, seed)[:, 1:].sum((1, 2))


@torch.inference_mode()
def right_bits(
    model: VideoAR,
    samples: Sequence[Sample],
    ratios: Float32[np.ndarray, "n t s"],
    visible: Sequence[Bool[np.ndarray, "t t"]],
    seed: int,
) -> Counts:
    """Bits guessed right of clips of one shape, with flips of these ratios, and of the past only the visible frames."""
    found, device = [], model.input.weight.device
    backend = "auto" if device.type == "cpu" else "reference"  # flex would be compiled for every pack
    for part in _batches(model, samples):
        own = range(part.start, part.stop)
        pack = probe_pack(
            samples[part],
            model.config,
            tokens_per_pack=-(-sum(_length(model, samples[i]) for i in own) // 256) * 256,
            visible=visible[part],
            ratios=ratios[part].reshape(-1, ratios.shape[2]),
            seed=seed,
            device=device,
        )
        right = (model(pack.inputs, choose(pack.layout, device, backend)) > 0) == pack.targets
        found.append(_by_cell(pack, right.sum(1).cpu().numpy(), (len(own), *ratios.shape[1:])))
    return np.concatenate(found)


def _by_cell(pack: Pack, right: np.ndarray, shape: tuple[int, int, int]) -> Counts:
    """The sum over the rows of each clip, frame and scale."""
    layout = pack.layout
    rows = layout.scale >= 0
    cells = np.ravel_multi_index((layout.sample[rows], layout.frame[rows], layout.scale[rows]), shape)
    return np.bincount(cells, right[rows].astype(np.float64), int(np.prod(shape))).reshape(shape)


def _batches(model: VideoAR, samples: Sequence[Sample]) -> Iterator[slice]:
    """Runs of clips of about PACK_TOKENS tokens, at least one clip each."""
    start, tokens = 0, 0
    for i, sample in enumerate(samples):
        length = _length(model, sample)
        if i > start and tokens + length > PACK_TOKENS:
            yield slice(start, i)
            start, tokens = i, 0
        tokens += length
    yield slice(start, len(samples))


def _length(model: VideoAR, sample: Sample) -> int:
    return len(sample.text) + sample.entry.video_tokens(model.config.history)


def _ratios(samples: Sequence[Sample]) -> Float32[np.ndarray, "n t s"]:
    entry = samples[0].entry
    return np.zeros((len(samples), entry.num_frames, ScaleSchedule.named(entry.schedule).num_scales), np.float32)


def _windows(samples: Sequence[Sample], window: int) -> list[Bool[np.ndarray, "t t"]]:
    return [window_mask(sample.entry.num_frames, window) for sample in samples]
