"""The attention that defines correctness: scaled dot products under a dense mask, on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.layers import Attend


def reference_attention(layout: PackLayout, device: torch.device, queries: tuple[range, ...]) -> Attend:
    """Attention of the query rows over a whole pack, under the mask that the layout's rectangles paint."""
    mask = layout.dense_mask()
    return masked_attention(torch.cat([mask[run.start : run.stop] for run in queries]).to(device))


def masked_attention(mask: Bool[Tensor, "rows l"]) -> Attend:
    """Attention softmax(q k^T / sqrt(c)) v over the pairs that `mask` holds (row: query, column: key).

    A row without pairs is padding; a column without pairs is padding, or a key that no query of this process reads.
    Such keys and values are set to zero before the product and such outputs after it, so outputs and gradients there
    are exactly zero for any content of the rows.
    """
    idle = ~mask.any(dim=1)
    unread = (~mask.any(dim=0))[:, None, None]
    allowed = mask | idle[:, None]
    idle = idle[:, None, None]

    def attend(
        layer: int, q: Float[Tensor, "rows n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "rows n c"]:
        q, k, v = q.masked_fill(idle, 0), k.masked_fill(unread, 0), v.masked_fill(unread, 0)
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return out[0].transpose(0, 1).masked_fill(idle, 0)

    return attend
