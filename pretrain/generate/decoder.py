"""The model over a cache: one pass for the text, then one for each scale or for each known frame (VideoAR §4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from videoar.pretrain.generate.cache import FrameCache
from videoar.pretrain.model import ModelInputs, VideoAR
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import ScaleSchedule


class CachedDecoder:
    """Logits of one frame after another, for `b` samples that advance together.

    Rows of a pass are ordered (guidance branch, sample, token): branch 0 has the text, branch 1 the null table of
    the same length. Positions are those of the whole sequence: only the index of the frame advances.
    """

    def __init__(
        self,
        model: VideoAR,
        schedule: ScaleSchedule,
        text: Sequence[Shaped[np.ndarray, "_m ..."]],
        *,
        num_frames: int,
        window: int,
        branches: int = 1,
    ) -> None:
        config, device = model.config, model.input.weight.device
        self._model, self._schedule, self._branches = model, schedule, branches
        lengths = [len(tokens) for tokens in text] * branches
        self.cache = FrameCache(
            schedule,
            lengths,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            head_dim=config.head_dim,
            num_frames=num_frames,
            window=window,
            dtype=model.input.weight.dtype,
            device=device,
        )
        layout = _first_frame(schedule, lengths)
        self._text_positions, self._positions = _by_sample(layout, layout.positions(config.rope), device)
        _, self._places = _by_sample(layout, layout.places(), device)
        self._scale = torch.from_numpy(layout.scale[layout.segments[0].visual]).to(device)
        self._is_start = self._scale == 0
        self._prefill_text(text)

    def scale_logits(self, scale: int, features: Float32[Tensor, "b tokens k"]) -> Float32[Tensor, "g b tokens k"]:
        """Logits of the current frame's next scale; its keys and values are added to the cache."""
        first, end = self._schedule.offsets[scale : scale + 2]
        return self._pass(features, first, end, self.cache.scale_attend(scale))

    def frame_logits(self, features: Float32[Tensor, "b tokens k"]) -> Float32[Tensor, "g b tokens k"]:
        """Logits of all scales of a frame whose bits are known, teacher-forced in one pass."""
        return self._pass(features, 0, self._schedule.tokens_per_frame, self.cache.frame_attend())

    def advance(self) -> None:
        """Advance to the next frame."""
        self.cache.advance()
        self._positions[..., 0] += 1
        self._places[..., 0] += 1
        self._is_start.zero_()

    def _pass(
        self, features: Float32[Tensor, "b tokens k"], first: int, end: int, attend: Attend
    ) -> Float32[Tensor, "g b tokens k"]:
        """Run the frame's tokens first..end of every sequence through the model."""
        sequences = self._positions.shape[0]
        none = self._scale.new_empty(0)
        inputs = ModelInputs(
            features=features.repeat(self._branches, 1, 1).flatten(0, 1),
            scale=self._scale[first:end].repeat(sequences),
            is_start=self._is_start[first:end].repeat(sequences),
            positions=self._positions[:, first:end].flatten(0, 1),
            places=self._places[:, first:end].flatten(0, 1),
            text_rows=none,
            text_tokens=none,
            text_index=none,
            text_dropped=none.bool(),
        )
        return self._model(inputs, attend).unflatten(0, (self._branches, -1, end - first))

    def _prefill_text(self, text: Sequence[Shaped[np.ndarray, "_m ..."]]) -> None:
        """Keys and values of the text; shorter texts are padded, and no query sees the padding."""
        device, width = self._scale.device, self.cache.text_tokens
        index = [np.arange(len(tokens)) for tokens in text] * self._branches
        rows = np.concatenate([sequence * width + places for sequence, places in enumerate(index)])
        count = len(index) * width
        dropped = np.repeat(np.arange(self._branches) > 0, sum(len(tokens) for tokens in text))
        inputs = ModelInputs(
            features=torch.zeros(count, self._model.config.latent_dim, device=device),
            scale=torch.full((count,), -1, device=device),
            is_start=torch.zeros(count, dtype=torch.bool, device=device),
            positions=self._text_positions.flatten(0, 1),
            places=torch.zeros(count, 3, dtype=torch.int64, device=device),
            text_rows=torch.from_numpy(rows).to(device),
            text_tokens=torch.from_numpy(np.concatenate([*text] * self._branches)).to(device),
            text_index=torch.from_numpy(np.concatenate(index)).to(device),
            text_dropped=torch.from_numpy(dropped).to(device),
        )
        self._model(inputs, self.cache.text_attend(causal=self._model.config.text.attention == "causal"))


def _first_frame(schedule: ScaleSchedule, text_lengths: Sequence[int]) -> PackLayout:
    """Text and first frame of every sequence, as a pack."""
    segments, start = [], 0
    for length in text_lengths:
        segments.append(Segment(schedule, 1, length, start, np.zeros((1, 1), bool)))
        start = segments[-1].visual.stop
    return PackLayout(tuple(segments), start)


def _by_sample(layout: PackLayout, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of the text (padded to the longest, numbered like it) and of the frame; dimension 0 is the sequence."""
    longest = max(layout.segments, key=lambda segment: segment.num_text)
    text = np.broadcast_to(rows[longest.text], (len(layout.segments), longest.num_text, 3))
    frame = np.stack([rows[segment.visual] for segment in layout.segments])
    return torch.from_numpy(text.copy()).to(device), torch.from_numpy(frame).to(device)
