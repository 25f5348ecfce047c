"""Keys and values during decoding, in static buffers: a window of past frames, the text, the current frame.

    one sequence, one layer:   [ ring of past frames | text | current frame: scales coarse to fine ]
                                     ^ filled from the right           ^ filled from the left

What a token of (frame t, scale s) may see is then ONE slice that ends after scale s: no gather, and no mask
unless texts differ in length. The order of the frames in the ring does not matter to softmax.

With history `context` the ring holds the context tokens of past frames instead of their scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


def alike(frame: int, ring_slots: int, history: HistoryKind) -> int:
    """The first frame whose passes over scales read and write the same places in the buffers as this frame's.

    Once the ring is full, this is one frame for all later frames. With history `context`, which writes a frame's
    context tokens into the ring in the next pass, it is one frame for each place in the ring.
    """
    if frame <= ring_slots or history != "context":
        return min(frame, ring_slots)
    return ring_slots + 1 + (frame - ring_slots - 1) % max(ring_slots, 1)


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
        history: HistoryKind = "scales",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.schedule = schedule
        self.ring_slots = min(window, num_frames - 1)
        self.frame = 0
        self.text_tokens = max(text_lengths)
        self._context = schedule.context_tokens(history)
        self._slot = self._context or schedule.tokens_per_frame
        self._text_start = self.ring_slots * self._slot
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

    def restart(self, text_lengths: Sequence[int]) -> None:
        """Begin another video in the same buffers; its texts have the same length, or the same longest one.

        What the buffers hold of the video before is never read: a pass sees the frames of its own video.
        """
        assert max(text_lengths) == self.text_tokens, (text_lengths, self.text_tokens)
        self.frame = 0
        seen = self._seen_keys(text_lengths, self.keys.shape[3], self.keys.device)
        assert (seen is None) == (self._seen is None), "padding needs a mask, and a mask is a buffer"
        if self._seen is not None and seen is not None:
            self._seen.copy_(seen)

    def text_attend(self, *, causal: bool) -> Attend:
        """Attention of the text prefill: text sees only text, all of it or the preceding part."""
        mask = None
        if causal:
            mask = torch.ones(self.text_tokens, self.text_tokens, dtype=torch.bool, device=self.keys.device).tril()
        return self._attend(self._text_start, self._text_start, self._frame_start, mask)

    def scale_attend(self, scale: int) -> Attend:
        """Attention of one scale's tokens: the past frames of the window, the text, this frame up to this scale.

        In the pass of the first scale, the context tokens of the frame before (if there are any) come first.
        """
        first, end = (self._frame_start + self.schedule.offsets[index] for index in (scale, scale + 1))
        attend = self._attend(first, self._window_start(self.frame), end)
        return attend if scale else self._after_context(attend)

    def frame_attend(self) -> Attend:
        """Attention of all scales of a known frame in one pass; each sees what it would see in its own pass."""
        start = self._window_start(self.frame)
        mask = F.pad(self._finer, (self._frame_start - start, 0), value=True)
        return self._after_context(self._attend(self._frame_start, start, self.keys.shape[3], mask))

    def context_attend(self) -> Attend:
        """Attention of the context tokens of the frame before: the past frames of ITS window, the text, each other.

        Each layer writes their keys where those of the current frame will be, and copies them into the ring.
        """
        frame = self.frame - 1
        within = self._attend(self._frame_start, self._window_start(frame), self._frame_start + self._context)

        def attend(
            layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
        ) -> Float[Tensor, "l n c"]:
            out = within(layer, q, k, v)
            if self.ring_slots:
                self._keep(frame, self.keys[layer], self.values[layer])
            return out

        return attend

    def advance(self) -> None:
        """The current frame is complete; its scales are kept, unless context tokens will represent it."""
        if self.ring_slots and not self._context:
            self._keep(self.frame, self.keys, self.values)
        self.frame += 1

    def _keep(self, frame: int, *buffers: Float[Tensor, "... tokens c"]) -> None:
        """Copy what is in the current frame's place into the ring, over the frame that is no longer needed."""
        slot = self.ring_slots - 1 - frame % self.ring_slots
        for buffer in buffers:
            current = buffer[..., self._frame_start : self._frame_start + self._slot, :]
            buffer[..., slot * self._slot : (slot + 1) * self._slot, :] = current

    def _window_start(self, frame: int) -> int:
        """Index of the first key of the ring that holds a frame, while that frame is computed."""
        return (self.ring_slots - min(frame, self.ring_slots)) * self._slot

    def _after_context(self, attend: Attend) -> Attend:
        """Attention of a pass in which context tokens of the frame before come first in every sequence, if it has any.

        They attend first, because the other tokens then read them from the ring.
        """
        if not (self._context and self.frame):
            return attend
        context = self.context_attend()

        def one_after_the_other(
            layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
        ) -> Float[Tensor, "l n c"]:
            rows = torch.arange(len(q), device=q.device).view(self.keys.shape[1], -1)
            out = torch.empty_like(v)
            for part, of_part in ((rows[:, : self._context], context), (rows[:, self._context :], attend)):
                index = part.flatten()
                out[index] = of_part(layer, q[index], k[index], v[index])
            return out

        return one_after_the_other

    def _attend(self, write: int, start: int, end: int, mask: Tensor | None = None) -> Attend:
        """Write the pass's keys and values at `write`, and attend to the keys start..end but not to padding."""
        if self._seen is not None:
            seen = self._seen[..., start:end]
            mask = seen if mask is None else mask & seen

        def attend(
            layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
        ) -> Float[Tensor, "l n c"]:
            keys, values = self.keys[layer], self.values[layer]
            count = q.shape[0] // keys.shape[0]
            keys[:, :, write : write + count] = self._by_head(k)
            values[:, :, write : write + count] = self._by_head(v)
            query = self._by_head(q).to(keys.dtype)
            out = F.scaled_dot_product_attention(query, keys[:, :, start:end], values[:, :, start:end], mask)
            return out.transpose(1, 2).flatten(0, 1).to(v.dtype)

        return attend

    def _by_head(self, x: Shaped[Tensor, "l n c"]) -> Shaped[Tensor, "b n tokens c"]:
        return x.unflatten(0, (self.keys.shape[1], -1)).transpose(1, 2)

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
