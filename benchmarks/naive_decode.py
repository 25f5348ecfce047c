"""Decoding without a cache: every pass computes all tokens so far again. The baseline for `generate`'s cache.

It samples the same bits. Keys and values are computed again in every pass, under the mask of a whole forward pass cut
off after the scale that is being sampled; both guidance branches of all samples are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.batch.pack import model_inputs
from videoar.pretrain.generate.sampler import Accumulation, Sampling, guided, sample_bits
from videoar.pretrain.model import ModelInputs, VideoAR
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import ScaleSchedule


@torch.inference_mode()
def naive_bits(
    model: VideoAR,
    schedule: ScaleSchedule,
    text: Int64[np.ndarray, "b m"],
    sampling: Sampling,
    *,
    num_frames: int,
    window: int,
    seeds: Sequence[int],
) -> Bool[Tensor, "b t tokens k"]:
    """The bits that `sample_frames` gives, for history `scales` and texts of one length."""
    assert model.config.history == "scales", "context tokens are not computed here"
    forward = _Forward(model, schedule, text, num_frames, window, branches=1 if sampling.guidance.is_off else 2)
    state, sampled = Accumulation(model, schedule, len(text)), []
    keys = torch.tensor(list(seeds), device=state.total.device)
    for frame in range(num_frames):
        for scale in range(schedule.num_scales):
            logits = forward.logits(frame, scale, state.feature(scale))
            gamma = sampling.guidance.gamma(frame, scale, num_frames=num_frames, num_scales=schedule.num_scales)
            logits = guided(logits, gamma)
            tokens, bits = (torch.arange(count, device=keys.device) for count in logits.shape[1:])
            uniform = draw(0, Stream.SAMPLE, frame, scale, keys[:, None, None], tokens[:, None], bits)
            sampled.append(sample_bits(logits, uniform, sampling))
            state.add(sampled[-1], scale)
        state.advance()
    return torch.cat(sampled, dim=1).unflatten(1, (num_frames, -1))


class _Forward:
    """The whole forward over the tokens so far."""

    def __init__(
        self,
        model: VideoAR,
        schedule: ScaleSchedule,
        text: Int64[np.ndarray, "b m"],
        num_frames: int,
        window: int,
        *,
        branches: int,
    ) -> None:
        self._model, self._branches, self._sequences = model, branches, branches * len(text)
        self._segment = Segment(schedule, num_frames, text.shape[1], 0, window_mask(num_frames, window))
        layout = PackLayout((self._segment,), self._segment.visual.stop, model.config.text.attention)
        device = model.input.weight.device
        self._mask = layout.dense_mask().to(device)
        features = torch.zeros(layout.length, model.config.latent_dim, device=device)
        self._one = model_inputs(layout, model.config, features, text[0], np.zeros(text.shape[1], bool))
        self._features = features.repeat(self._sequences, 1, 1)
        self._text = torch.from_numpy(np.concatenate([text] * branches)).to(device)

    def logits(
        self, frame: int, scale: int, features: Float32[Tensor, "b tokens k"]
    ) -> Float32[Tensor, "g b tokens k"]:
        """The logits of a scale, whose features join those so far."""
        rows = self._segment.scale(frame, scale)
        self._features[:, rows.start : rows.stop] = features.repeat(self._branches, 1, 1)
        logits = self._model(self._inputs(rows.stop), _attend(self._mask[: rows.stop, : rows.stop], self._sequences))
        return logits.view(self._branches, -1, rows.stop, logits.shape[-1])[:, :, rows.start :]

    def _inputs(self, stop: int) -> ModelInputs:
        """The rows before `stop` of every sequence."""
        one, count = self._one, self._sequences
        sequence = torch.arange(count, device=one.text_rows.device)[:, None]
        return replace(
            one,
            features=self._features[:, :stop].flatten(0, 1),
            scale=one.scale[:stop].repeat(count),
            is_context=one.is_context[:stop].repeat(count),
            is_start=one.is_start[:stop].repeat(count),
            positions=one.positions[:stop].repeat(count, 1),
            places=one.places[:stop].repeat(count, 1),
            text_rows=(one.text_rows + sequence * stop).flatten(),
            text_tokens=self._text.flatten(),
            text_index=one.text_index.repeat(count),
            text_dropped=(sequence >= count // self._branches).expand(-1, len(one.text_index)).flatten(),
        )


def _attend(mask: Bool[Tensor, "l l"], sequences: int) -> Attend:
    """Attention of all sequences under one mask."""

    def attend(
        layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "l n c"]:
        q, k, v = (rearrange(part, "(b l) n c -> b n l c", b=sequences) for part in (q, k, v))
        return rearrange(F.scaled_dot_product_attention(q, k, v, mask), "b n l c -> (b l) n c")

    return attend
