"""Decoding with a cache that grows: every pass joins its keys and values to those before, in new memory.

Most code for inference does this; the static cache of `generate` is compared with it. Both sample the same bits.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from videoar.pretrain.generate.cache import FrameCache
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.generate.sampler import Passes, VideoPlan
from videoar.pretrain.model.layers import Attend


def growing(plan: VideoPlan) -> AbstractContextManager[Passes]:
    """The passes of a video over a cache that grows; nothing leaves it, and no text is padded."""
    assert plan.model.config.history == "scales", "context tokens would not take the place of scales here"
    assert plan.window >= plan.num_frames - 1, "no frame leaves"
    assert len({len(text) for text in plan.text}) == 1, "padding would be seen"
    decoder = GrowingDecoder(
        plan.model,
        plan.schedule,
        plan.text,
        num_frames=1,  # of the static buffers, which stay empty
        window=plan.window,
        branches=plan.branches,
        negative=plan.negative,
    )
    return nullcontext(Passes(plan, decoder))


class GrowingCache(FrameCache):
    """Keys and values of all passes so far. A pass sees all of them and its own, so there is nothing to mask."""

    def _attend(self, write: int, start: int, end: int, mask: Tensor | None = None) -> Attend:
        def attend(
            layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
        ) -> Float[Tensor, "l n c"]:
            keys, values = (self._by_head(part).to(self.keys.dtype) for part in (k, v))
            if layer in self._grown:
                before = self._grown[layer]
                keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
            self._grown[layer] = keys, values
            out = F.scaled_dot_product_attention(self._by_head(q).to(keys.dtype), keys, values, mask)
            return out.transpose(1, 2).flatten(0, 1).to(v.dtype)

        return attend

    @cached_property
    def _grown(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Keys and values of each layer."""
        return {}


class GrowingDecoder(CachedDecoder):
    """The model over such a cache."""

    cache_class = GrowingCache
