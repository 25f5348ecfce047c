"""The model over a cache: one pass for the text, then one for each scale or for each known frame (VideoAR §4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from videoar.pretrain.generate.cache import FrameCache
from videoar.pretrain.model import ModelInputs, VideoAR
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


class CachedDecoder:
    """Logits of one frame after another, for `b` samples that advance together.

    Rows of a pass are ordered (guidance branch, sample, token): branch 0 has the text, branch 1 the sample's negative
    text if it has one, else the null table of the text's length. Positions are those of the whole sequence: only the
    index of the frame advances. With history `context`, the context tokens of a frame are computed in the first pass
    of the next one, before its own tokens.
    """

    cache_class: ClassVar[type[FrameCache]] = FrameCache
    """Class of the cache of keys and values; a benchmark compares it with another one."""

    def __init__(
        self,
        model: VideoAR,
        schedule: ScaleSchedule,
        text: Sequence[Shaped[np.ndarray, "_m ..."]],
        *,
        num_frames: int,
        window: int,
        branches: int = 1,
        negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None = None,
    ) -> None:
        config, device = model.config, model.input.weight.device
        self._model, self._schedule, self._branches = model, schedule, branches
        prefixes = _prefixes(text, negative, branches)
        lengths = [len(tokens) for tokens, _ in prefixes]
        self.cache = self.cache_class(
            schedule,
            lengths,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            head_dim=config.head_dim,
            num_frames=num_frames,
            window=window,
            history=config.history,
            dtype=model.input.weight.dtype,
            device=device,
        )
        self._context = schedule.context_tokens(config.history)
        layout = _two_frames(schedule, lengths, config.history)
        self._text_positions, self._positions, self._places = self._tables(layout, device)
        rows = _with_context(layout.segments[0])
        self._scale = torch.from_numpy(layout.scale[rows]).to(device)
        self._is_context = torch.from_numpy(layout.is_context[rows]).to(device)
        self._is_start = self._scale == 0
        self._move(-1)  # the tables are those of the second frame
        self._prefill_text(prefixes)

    def restart(
        self,
        text: Sequence[Shaped[np.ndarray, "_m ..."]],
        negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None,
    ) -> None:
        """Begin another video in the same memory; `sequence_lengths` of its texts have the same maximum and are equal
        if they were."""
        prefixes = _prefixes(text, negative, self._branches)
        lengths = [len(tokens) for tokens, _ in prefixes]
        self.cache.restart(lengths)
        layout = _two_frames(self._schedule, lengths, self._model.config.history)
        tables = self._tables(layout, self._scale.device)
        for mine, theirs in zip((self._text_positions, self._positions, self._places), tables, strict=True):
            mine.copy_(theirs)
        self._is_start.copy_(self._scale == 0)
        self._move(-1)
        self._prefill_text(prefixes)

    def scale_logits(self, scale: int, features: Float32[Tensor, "b tokens k"]) -> Float32[Tensor, "g b n k"]:
        """Logits of the current frame's next scale; its keys and values are added to the cache.

        `features` begin with those of the previous frame's context tokens where `Accumulation.feature` adds them.
        """
        first, end = self._schedule.offsets[scale : scale + 2]
        return self._pass(features, self._context + end, self.cache.scale_attend(scale))[:, :, first - end :]

    def frame_logits(self, features: Float32[Tensor, "b tokens k"]) -> Float32[Tensor, "g b n k"]:
        """Logits of all scales of a frame whose bits are known, teacher-forced in one pass."""
        count = self._schedule.tokens_per_frame
        return self._pass(features, self._context + count, self.cache.frame_attend())[:, :, -count:]

    def read_frame(self, features: Float32[Tensor, "b tokens k"]) -> None:
        """Add to the cache, in one pass, what later frames read of a frame whose bits are known.

        With history `context` they read none of its scales: the pass has only the context tokens of the frame before.
        """
        if not self._context:
            self.frame_logits(features)
        elif self.cache.frame:
            self._pass(features[:, : self._context], self._context, self.cache.context_attend())

    def advance(self) -> None:
        """Advance to the next frame."""
        self.cache.advance()
        self._move(1)
        self._is_start.zero_()

    def _tables(self, layout: PackLayout, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the text, positions and places of the tokens of the second frame; dimension 0: the sequence."""
        text_positions, positions = _by_sample(layout, layout.positions(self._model.config.rope), device)
        _, places = _by_sample(layout, layout.places(), device)
        return text_positions, positions, places

    def _move(self, frames: int) -> None:
        self._positions[..., 0] += frames
        self._places[..., 0] += frames

    def _pass(
        self, features: Float32[Tensor, "b tokens k"], end: int, attend: Attend
    ) -> Float32[Tensor, "g b tokens k"]:
        """Run the tokens before `end` of every sequence through the model, as many as there are features.

        Tokens are counted from the first context token of the frame before; those of the current frame follow.
        """
        sequences, first = self._positions.shape[0], end - features.shape[1]
        none = self._scale.new_empty(0)
        inputs = ModelInputs(
            features=features.repeat(self._branches, 1, 1).flatten(0, 1),
            scale=self._scale[first:end].repeat(sequences),
            is_context=self._is_context[first:end].repeat(sequences),
            is_start=self._is_start[first:end].repeat(sequences),
            positions=self._positions[:, first:end].flatten(0, 1),
            places=self._places[:, first:end].flatten(0, 1),
            text_rows=none,
            text_tokens=none,
            text_index=none,
            text_dropped=none.bool(),
        )
        return self._model(inputs, attend).unflatten(0, (self._branches, -1, end - first))

    def _prefill_text(self, prefixes: Sequence[tuple[Shaped[np.ndarray, "_m ..."], bool]]) -> None:
        """Keys and values of the text; shorter texts are padded, and no query sees the padding."""
        device, width = self._scale.device, self.cache.text_tokens
        index = [np.arange(len(tokens)) for tokens, _ in prefixes]
        rows = np.concatenate([sequence * width + places for sequence, places in enumerate(index)])
        count = len(prefixes) * width
        dropped = np.concatenate([np.full(len(tokens), is_dropped) for tokens, is_dropped in prefixes])
        inputs = ModelInputs(
            features=torch.zeros(count, self._model.config.latent_dim, device=device),
            scale=torch.full((count,), -1, device=device),
            is_context=torch.zeros(count, dtype=torch.bool, device=device),
            is_start=torch.zeros(count, dtype=torch.bool, device=device),
            positions=self._text_positions.flatten(0, 1),
            places=torch.zeros(count, 3, dtype=torch.int64, device=device),
            text_rows=torch.from_numpy(rows).to(device),
            text_tokens=torch.from_numpy(np.concatenate([tokens for tokens, _ in prefixes])).to(device),
            text_index=torch.from_numpy(np.concatenate(index)).to(device),
            text_dropped=torch.from_numpy(dropped).to(device),
        )
        self._model(inputs, self.cache.text_attend(causal=self._model.config.text.attention == "causal"))


def sequence_lengths(
    text: Sequence[Shaped[np.ndarray, "_m ..."]],
    negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None,
    branches: int,
) -> list[int]:
    """Tokens of the text of every sequence."""
    return [len(tokens) for tokens, _ in _prefixes(text, negative, branches)]


def _prefixes(
    text: Sequence[Shaped[np.ndarray, "_m ..."]],
    negative: Sequence[Shaped[np.ndarray, "_n ..."] | None] | None,
    branches: int,
) -> list[tuple[Shaped[np.ndarray, "_m ..."], bool]]:
    """The text of every sequence, and whether the null table takes its place."""
    prefixes = [(tokens, False) for tokens in text]
    if branches > 1:
        pairs = zip(text, negative or [None] * len(text), strict=True)
        prefixes += [(tokens, True) if other is None else (other, False) for tokens, other in pairs]
    return prefixes


def _two_frames(schedule: ScaleSchedule, text_lengths: Sequence[int], history: HistoryKind) -> PackLayout:
    """Text and two frames of every sequence, as a pack: with its context tokens a frame precedes the next one."""
    segments, start = [], 0
    for length in text_lengths:
        segments.append(Segment(schedule, 2, length, start, np.zeros((2, 2), bool), history))
        start = segments[-1].visual.stop
    return PackLayout(tuple(segments), start)


def _with_context(segment: Segment) -> range:
    """Rows of the second frame, and before them of the first one's context tokens."""
    return range(segment.context(0).start, segment.frame(1).stop)


def _by_sample(layout: PackLayout, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of the text (padded to the longest, numbered like it) and of `_with_context`; dimension 0: the sequence."""
    longest = max(layout.segments, key=lambda segment: segment.num_text)
    text = np.broadcast_to(rows[longest.text], (len(layout.segments), longest.num_text, 3))
    frame = np.stack([rows[_with_context(segment)] for segment in layout.segments])
    return torch.from_numpy(text.copy()).to(device), torch.from_numpy(frame).to(device)
