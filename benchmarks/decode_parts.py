"""Parts of decoding a clip: the passes through the model alone, and the tokenizer's decoder next to them or after."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float32
from torch import Tensor

from videoar.pretrain.generate.background import decoded
from videoar.pretrain.generate.sampler import Accumulation, LatentFrame, VideoPlan
from videoar.tokenizer import VideoTokenizer


@torch.inference_mode()
def run_model_alone(plan: VideoPlan) -> None:
    """The passes of `sample_frames` on given inputs: nothing is sampled, looked up, summed or resized between them."""
    assert plan.model.config.history == "scales", "context tokens are not given here"
    state = Accumulation(plan.model, plan.schedule, len(plan.text))
    features = [state.feature(scale) for scale in range(plan.schedule.num_scales)]
    decoder = plan.decoder()
    for _ in range(plan.num_frames):
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
