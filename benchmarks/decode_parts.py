"""Parts of decoding a clip: the passes through the model alone, and the tokenizer's decoder next to them or after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from videoar.pretrain.generate.background import decoded
from videoar.pretrain.generate.sampler import Accumulation, LatentFrame, Sampling, VideoPlan
from videoar.pretrain.model import VideoAR
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule


@torch.inference_mode()
def run_model_alone(
    model: VideoAR,
    schedule: ScaleSchedule,
    text: Int64[np.ndarray, "b m"],
    sampling: Sampling,
    *,
    num_frames: int,
    window: int,
    seeds: Sequence[int],
) -> None:
    """The passes of `sample_frames` on given inputs: nothing is sampled, looked up, summed or resized between them."""
    assert model.config.history == "scales", "context tokens are not given here"
    state = Accumulation(model, schedule, len(text))
    features = [state.feature(scale) for scale in range(schedule.num_scales)]
    plan = VideoPlan(
        model=model,
        schedule=schedule,
        text=list(text),
        negative=None,
        sampling=sampling,
        num_frames=num_frames,
        window=window,
        seeds=seeds,
        start=0,
    )
    decoder = plan.decoder()
    for _ in range(num_frames):
        for scale, feature in enumerate(features):
            decoder.scale_logits(scale, feature)
        decoder.advance()


def decode_beside(tokenizer: VideoTokenizer, frames: Iterable[LatentFrame]) -> None:
    """Decode each latent frame while the next one is sampled, as `generate` does."""
    _drain(tokenizer, (frame.latent for frame in frames))


def decode_after(tokenizer: VideoTokenizer, frames: Iterable[LatentFrame]) -> None:
    """Decode when the last latent frame has been sampled."""
    _drain(tokenizer, [frame.latent for frame in frames])


def _drain(tokenizer: VideoTokenizer, latents: Iterable[Float32[Tensor, "b k h w"]]) -> None:
    for _ in decoded(tokenizer, latents):
        pass
