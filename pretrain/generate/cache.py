"""Keys and values during decoding, in static buffers: a window of past frames, the text, the current frame.

    one sequence, one layer:   [ ring of past frames | text | current frame: scales coarse to fine ]
                                     ^ filled from the right           ^ filled from the left

What a token of (frame t, scale s) may see is then ONE slice that ends after scale s: no gather, and no mask
unless texts differ in length. The order of the frames in the ring does not matter to softmax.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import ScaleSchedule


class FrameCache:
    """The cache of `batch` sequences that advance together; `batch` includes the guidance branches.

    It holds min(window, num_frames - 1) past frames for a video of any length. When frame t is complete it replaces
    frame t - window, which no later pass needs.
    """

    def __init__(
        self,
        schedule: ScaleSchedule,
        text_lengths: Sequence[int],
        *,
        num_layers: int,
        num_heads: int,
        head_dim: int,
        num_frames: int,
        window: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.schedule = schedule
        self.ring_slots = min(window, num_frames - 1)
        self.frame = 0
        self.text_tokens = max(text_lengths)
        self._text_start = self.ring_slots * schedule.tokens_per_frame
        self._frame_start = self._text_start + self.text_tokens
        capacity = self._frame_start + schedule.tokens_per_frame
        shape = (num_layers, len(text_lengths), num_heads, capacity, head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self._seen = self._seen_keys(text_lengths, capacity, device)
        self._finer = self._finer_scales(device)

    @property
    def size_bytes(self) -> int:
        """Bytes of the buffers; they do not grow with the video."""
        return 2 * self.keys.numel() * self.keys.element_size()

    def text_attend(self, *, causal: bool) -> Attend:
        """Attention of the text prefill: text sees only text, all of it or the preceding part."""
        mask = None
        if self._seen is not None:
            mask = self._seen[..., self._text_start : self._frame_start]
        if causal:
            order = torch.ones(self.text_tokens, self.text_tokens, dtype=torch.bool, device=self.keys.device).tril()
            mask = order if mask is None else mask & order
        return self._attend(self._text_start, self._text_start, self._frame_start, mask)

    def scale_attend(self, scale: int) -> Attend:
        """Attention of one scale's tokens: the past frames of the window, the text, this frame up to this scale."""
        first, end = (self._frame_start + self.schedule.offsets[index] for index in (scale, scale + 1))
        mask = None if self._seen is None else self._seen[..., self._window_start : end]
        return self._attend(first, self._window_start, end, mask)

    def frame_attend(self) -> Attend:
        """Attention of all scales of a known frame in one pass; each sees what it would see in its own pass."""
        mask = F.pad(self._finer, (self._frame_start - self._window_start, 0), value=True)
        if self._seen is not None:
            mask = mask & self._seen[..., self._window_start :]
        return self._attend(self._frame_start, self._window_start, self.keys.shape[3], mask)

    def advance(self) -> None:
        """The current frame is complete: copy it into the ring, over the frame that is no longer needed."""
        if self.ring_slots:
            count = self.schedule.tokens_per_frame
            slot = self.ring_slots - 1 - self.frame % self.ring_slots
            for buffer in (self.keys, self.values):
                buffer[:, :, :, slot * count : (slot + 1) * count] = buffer[:, :, :, self._frame_start :]
        self.frame += 1

    @property
    def _window_start(self) -> int:
        """Index of the first key of the ring that holds a frame."""
        return (self.ring_slots - min(self.frame, self.ring_slots)) * self.schedule.tokens_per_frame

    def _attend(self, write: int, start: int, end: int, mask: Tensor | None) -> Attend:
        """Write the pass's keys and values at `write`, and attend to the keys start..end."""

        def attend(
            layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
        ) -> Float[Tensor, "l n c"]:
            keys, values = self.keys[layer], self.values[layer]
            count = q.shape[0] // keys.shape[0]
            keys[:, :, write : write + count] = self._by_head(k)
            values[:, :, write : write + count] = self._by_head(v)
            query = self._by_head(q).to(keys.dtype)
            out = F.scaled_dot_product_attention(query, keys[:, :, start:end], values[:, :, start:end], mask)
            return rearrange(out, "b n l c -> (b l) n c").to(v.dtype)

        return attend

    def _by_head(self, x: Shaped[Tensor, "l n c"]) -> Shaped[Tensor, "b n tokens c"]:
        return rearrange(x, "(b l) n c -> b n l c", b=self.keys.shape[1])

    def _seen_keys(
        self, text_lengths: Sequence[int], capacity: int, device: torch.device | str
    ) -> Bool[Tensor, "b 1 1 capacity"] | None:
        """False on the padding of shorter texts; None if all texts have one length."""
        if len(set(text_lengths)) == 1:
            return None
        seen = torch.ones(len(text_lengths), capacity, dtype=torch.bool)
        places = torch.arange(self.text_tokens)
        seen[:, self._text_start : self._frame_start] = places[None] < torch.tensor(list(text_lengths))[:, None]
        return seen[:, None, None].to(device)

    def _finer_scales(self, device: torch.device | str) -> Bool[Tensor, "l l"]:
        """Within a frame: row i may see column j when j's scale is not finer."""
        counts = torch.tensor(self.schedule.tokens)
        scale = torch.repeat_interleave(torch.arange(len(counts)), counts)
        return (scale[None, :] <= scale[:, None]).to(device)
