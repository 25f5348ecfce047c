"""The attention that defines correctness: scaled dot products under a dense mask, on any device."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from videoar.pretrain.model.layers import Attend


def reference_attention(mask: Bool[Tensor, "l l"]) -> Attend:
    """Attention softmax(q k^T / sqrt(c)) v over the pairs that `mask` holds (row: query, column: key).

    A row without keys is padding. Its keys and values are cleared before the product and its output after, so that
    outputs and gradients there are exactly zero whatever the row holds.
    """
    padding = ~mask.any(dim=-1)
    allowed = mask | padding.diag()
    cleared = padding[:, None, None]

    def attend(
        layer: int, q: Float[Tensor, "l n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "l n c"]:
        q, k, v = (part.masked_fill(cleared, 0).transpose(0, 1)[None] for part in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return out[0].transpose(0, 1).masked_fill(cleared, 0)

    return attend
