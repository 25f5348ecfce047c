"""Causal decoding over (frame, scale): bits are sampled, summed up, and become the next input (VideoAR §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Shaped
from torch import Tensor

from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import Temperature, TopP
from videoar.pretrain.batch import draws
from videoar.pretrain.batch.draws import Stream, folded
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.limits import check_limits
from videoar.tokenizer import bsq, residual
from videoar.tokenizer.residual import as_grid, as_tokens
from videoar.tokenizer.scales import ScaleSchedule

OnScale = Callable[[int, int], None]
"""Called with a frame of the video and a scale, both from 0, when the bits of that scale are enqueued."""

Gamma = float | Float32[Tensor, ""]
"""The strength of guidance, on the host or on the device."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoPlan:
    """What the passes of a video, or of several that advance together, are made from."""

    model: VideoAR
    schedule: ScaleSchedule
    text: Sequence[Shaped[np.ndarray, "_m ..."]]
    negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None
    """Texts that guidance steers away from."""
    sampling: Sampling
    num_frames: int
    """Latent frames, given ones included."""
    window: int
    seeds: Sequence[int]
    start: int
    """Index of this shot's first frame in the whole video, which may have several shots."""

    @property
    def branches(self) -> int:
        """Sequences of each sample: without guidance only the one with its text."""
        return 1 if self.sampling.guidance.is_off else 2

    def decoder(self) -> CachedDecoder:
        """The model over a new cache, which has read the text."""
        return CachedDecoder(
            self.model,
            self.schedule,
            self.text,
            num_frames=self.num_frames,
            window=self.window,
            branches=self.branches,
            negative=self.negative,
        )

    def gamma(self, frame: int, scale: int) -> float:
        """The strength of guidance."""
        scales = self.schedule.num_scales
        return self.sampling.guidance.gamma(frame, scale, num_frames=self.num_frames, num_scales=scales)


class BitNumbers:
    """The random numbers of a video's bits."""

    def __init__(self, plan: VideoPlan) -> None:
        schedule, device = plan.schedule, plan.model.input.weight.device
        scale = np.repeat(np.arange(schedule.num_scales), schedule.tokens)
        token = np.arange(schedule.tokens_per_frame) - np.array(schedule.offsets)[scale]
        self._scale, self._token = torch.from_numpy(scale).to(device), torch.from_numpy(token).to(device)
        self._bit = torch.arange(plan.model.config.latent_dim, device=device)
        self._seeds = torch.tensor(list(plan.seeds), device=device)[:, None]

    def of_frame(self, frame: int) -> Float32[Tensor, "b tokens k"]:
        """Uniform numbers by (seed, frame of the whole video, scale, token of the scale, bit)."""
        state = folded(0, Stream.SAMPLE, frame, self._scale, self._seeds, self._token)
        return draws.uniform(cast(Tensor, state)[..., None], self._bit)


class Passes:
    """The passes of a video, frame by frame, each of which the host enqueues."""

    def __init__(self, plan: VideoPlan, decoder: CachedDecoder | None = None) -> None:
        self._plan, self._decoder = plan, decoder or plan.decoder()
        self._state = Accumulation(plan.model, plan.schedule, len(plan.text))
        self._numbers = BitNumbers(plan)

    def read(self, bits: Bool[Tensor, "b tokens k"]) -> LatentFrame:
        """The next frame, whose bits are known."""
        bits = bits.to(self._state.total.device)
        self._decoder.read_frame(self._state.features_of(bits))
        return LatentFrame(bits, self._state.total)

    def sample(self, frame: int, on_scale: OnScale | None) -> LatentFrame:
        """The next frame, sampled scale by scale."""
        in_video, sampled = self._plan.start + frame, []
        numbers = self._numbers.of_frame(in_video).split(list(self._plan.schedule.tokens), dim=1)
        for scale, uniform in enumerate(numbers):
            sampled.append(self._sample_scale(scale, self._plan.gamma(frame, scale), uniform))
            if on_scale is not None:
                on_scale(in_video, scale)
        return LatentFrame(torch.cat(sampled, dim=1), self._state.total)

    def advance(self) -> None:
        """The frame is complete."""
        self._decoder.advance()
        self._state.advance()

    def _sample_scale(self, scale: int, gamma: Gamma, uniform: Float32[Tensor, "b n k"]) -> Bool[Tensor, "b n k"]:
        """The bits of the next scale."""
        logits = guided(self._decoder.scale_logits(scale, self._state.feature(scale)), gamma)
        bits = sample_bits(logits, uniform, self._plan.sampling)
        self._state.add(bits, scale)
        return bits


OpenPasses = Callable[[VideoPlan], AbstractContextManager[Passes]]
"""Opens the passes of a video, for as long as it is made."""


def enqueued(plan: VideoPlan) -> AbstractContextManager[Passes]:
    """Passes that are not recorded, in memory of their own."""
    return nullcontext(Passes(plan))


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
    open_passes: OpenPasses = enqueued,
) -> Iterator[LatentFrame]:
    """Yield `num_frames` latent frames of every sample: first those of `history`, unchanged, then sampled ones.

    `negative` has the texts that guidance steers away from. `start` is where these frames begin in a video of several
    shots: each frame of it has random numbers of its own. A sample's result depends on its texts, history and seed,
    not on its neighbours. Nothing here waits for the device.
    """
    check_limits(model.config, schedule, num_frames)
    plan = VideoPlan(
        model=model,
        schedule=schedule,
        text=text,
        negative=negative,
        sampling=sampling,
        num_frames=num_frames,
        window=window,
        seeds=seeds,
        start=start,
    )
    with open_passes(plan) as passes:
        for frame in range(num_frames):
            if history is not None and frame < history.shape[1]:
                yield passes.read(history[:, frame])
            else:
                yield passes.sample(frame, on_scale)
            passes.advance()


def sample_bits(
    logits: Float32[Tensor, "b tokens k"], uniform: Float32[Tensor, "b tokens k"], sampling: Sampling
) -> Bool[Tensor, "b tokens k"]:
    """Sample each bit alone: 1 where u < sigmoid(logit / temperature), unless the nucleus holds one value only."""
    if sampling.temperature == 0:
        return logits > 0
    p = (logits / sampling.temperature).sigmoid()
    if sampling.top_p == 1:
        return uniform < p
    certain = torch.maximum(p, 1 - p) >= sampling.top_p
    return torch.where(certain, p > 0.5, uniform < p)


def guided(logits: Float[Tensor, "branches b l k"], gamma: Gamma) -> Float[Tensor, "b l k"]:
    """uncond + gamma (cond - uncond); branch 0 has the condition, branch 1 (absent if gamma is 1) has none."""
    if logits.shape[0] == 1:
        return logits[0]
    return logits[1] + gamma * (logits[0] - logits[1])
