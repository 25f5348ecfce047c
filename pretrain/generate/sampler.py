"""Causal decoding over (frame, scale): bits are sampled, summed up, and become the next input (VideoAR §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from torch import Tensor

from videoar.cluster.ground.checks import check_fields
from videoar.cluster.ground.limits import Temperature, TopP
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.limits import check_limits
from videoar.tokenizer import bsq, residual
from videoar.tokenizer.residual import as_grid, as_tokens
from videoar.tokenizer.scales import ScaleSchedule

OnScale = Callable[[int, int], None]
"""Called with a frame of the video and a scale, both from 0, when the bits of that scale are enqueued."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How bits are sampled from logits."""

    guidance: Guidance
    temperature: Temperature = 1.0
    """The guided logits are divided by it; 0 takes the likelier value of every bit."""
    top_p: TopP = 1.0
    """If the likelier value of a bit has at least this probability, the bit takes it (nucleus sampling of two values);
    1 samples every bit."""

    def __post_init__(self) -> None:
        check_fields(self, "")


@dataclass(frozen=True, slots=True)
class LatentFrame:
    """One decoded frame of every sample."""

    bits: Bool[Tensor, "b tokens k"]
    """Scales coarse to fine, row-major inside a scale."""
    latent: Float32[Tensor, "b k h w"]
    """The accumulated codes, which the tokenizer decodes."""


class Accumulation:
    """The sum of the codes of a frame, and the inputs that follow from it (VideoAR Eq. 6)."""

    def __init__(self, model: VideoAR, schedule: ScaleSchedule, batch: int) -> None:
        self._schedule, self._mode, self._history = schedule, model.config.down, model.config.history
        self.total = torch.zeros(batch, model.config.latent_dim, *schedule.grid, device=model.input.weight.device)
        self._previous, self._has_context = self.total, False

    def feature(self, scale: int) -> Float32[Tensor, "b tokens k"]:
        """Input of a scale: the sum of the coarser ones; of the first scale, the whole previous frame, by area.

        With history `context`, that of the previous frame's context tokens precedes the first scale's.
        """
        grid = self._schedule.grids[scale]
        if scale:
            return as_tokens(residual.down(self.total, grid, self._mode))
        first = as_tokens(residual.down(self._previous, grid, "area"))
        return torch.cat([as_tokens(self._previous), first], dim=1) if self._has_context else first

    def add(self, bits: Bool[Tensor, "b tokens k"], scale: int) -> None:
        """Add one scale's codes."""
        code = as_grid(bsq.codes(bits), self._schedule.grids[scale])
        self.total = self.total + residual.up(code, self._schedule.grid)

    def features_of(self, bits: Bool[Tensor, "b n k"]) -> Float32[Tensor, "b tokens k"]:
        """Inputs of all scales of a frame whose bits are known; its codes are added."""
        features = []
        for scale, of_scale in enumerate(bits.split(list(self._schedule.tokens), dim=1)):
            features.append(self.feature(scale))
            self.add(of_scale, scale)
        return torch.cat(features, dim=1)

    def advance(self) -> None:
        """The frame is complete: the next sum starts at zero, with this frame as its first input."""
        self._previous, self._has_context = self.total, self._history == "context"
        self.total = torch.zeros_like(self.total)


@torch.inference_mode()
def sample_frames(
    model: VideoAR,
    schedule: ScaleSchedule,
    text: Sequence[Shaped[np.ndarray, "_m ..."]],
    sampling: Sampling,
    *,
    num_frames: int,
    window: int,
    seeds: Sequence[int],
    history: Bool[Tensor, "b known tokens k"] | None = None,
    negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None = None,
    start: int = 0,
    on_scale: OnScale | None = None,
) -> Iterator[LatentFrame]:
    """Yield `num_frames` latent frames of every sample: first those of `history`, unchanged, then sampled ones.

    `negative` has the texts that guidance leads away from. `start` is where these frames begin in a video of several
    shots: each frame of it has random numbers of its own. A sample's result depends on its texts, history and seed,
    not on its neighbours. Nothing here waits for the device.
    """
    check_limits(model.config, schedule, num_frames)
    branches = 1 if sampling.guidance.is_off else 2
    decoder = CachedDecoder(
        model, schedule, text, num_frames=num_frames, window=window, branches=branches, negative=negative
    )
    state = Accumulation(model, schedule, len(text))
    keys = torch.tensor(list(seeds), device=state.total.device)
    for frame in range(num_frames):
        if history is not None and frame < history.shape[1]:
            bits = history[:, frame].to(state.total.device)
            decoder.read_frame(state.features_of(bits))
        else:
            place = _Place(frame, num_frames, start, keys, on_scale)
            bits = _sample_frame(decoder, state, schedule, sampling, place)
        yield LatentFrame(bits, state.total)
        decoder.advance()
        state.advance()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame is: in its shot for guidance, in the video for its random numbers."""

    frame: int
    num_frames: int
    start: int
    keys: Int64[Tensor, " b"]
    on_scale: OnScale | None


def _sample_frame(
    decoder: CachedDecoder, state: Accumulation, schedule: ScaleSchedule, sampling: Sampling, place: _Place
) -> Bool[Tensor, "b tokens k"]:
    """The bits of one frame, scale by scale."""
    sampled = []
    in_video = place.start + place.frame
    for scale in range(schedule.num_scales):
        logits = decoder.scale_logits(scale, state.feature(scale))
        gamma = sampling.guidance.gamma(place.frame, scale, num_frames=place.num_frames, num_scales=schedule.num_scales)
        logits = guided(logits, gamma)
        sampled.append(sample_bits(logits, uniform(logits, place.keys, in_video, scale), sampling))
        state.add(sampled[-1], scale)
        if place.on_scale is not None:
            place.on_scale(in_video, scale)
    return torch.cat(sampled, dim=1)


def sample_bits(
    logits: Float32[Tensor, "b tokens k"], uniform: Float32[Tensor, "b tokens k"], sampling: Sampling
) -> Bool[Tensor, "b tokens k"]:
    """Sample each bit alone: 1 where u < sigmoid(logit / temperature), unless the nucleus holds one value only."""
    if sampling.temperature == 0:
        return logits > 0
    p = (logits / sampling.temperature).sigmoid()
    certain = torch.maximum(p, 1 - p) >= sampling.top_p
    return torch.where(certain, p > 0.5, uniform < p)


def uniform(
    like: Float32[Tensor, "b tokens k"], keys: Int64[Tensor, " b"], frame: int, scale: int
) -> Float32[Tensor, "b tokens k"]:
    """Uniform numbers by (seed, frame, scale, token, bit)."""
    token = torch.arange(like.shape[1], device=like.device)[:, None]
    bit = torch.arange(like.shape[2], device=like.device)
    return draw(0, Stream.SAMPLE, frame, scale, keys[:, None, None], token, bit)


def guided(logits: Float[Tensor, "branches b l k"], gamma: float) -> Float[Tensor, "b l k"]:
    """uncond + gamma (cond - uncond); branch 0 has the condition, branch 1 (absent if gamma is 1) has none."""
    if logits.shape[0] == 1:
        return logits[0]
    return logits[1] + gamma * (logits[0] - logits[1])
