"""The layers of the backbone (VideoAR §4.2, "LLaMA-style"): RMSNorm, attention with q/k norm, SwiGLU; no biases.

Rows of the fused projections are ordered so that a contiguous cut is a cut by heads or by hidden units, and sizes are
read off the tensors: this code also runs with a sharded projection.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model.rope import Rotation, rotate
from videoar.pretrain.model.swiglu import swiglu

Attend = Callable[[int, Float[Tensor, "l n c"], Float[Tensor, "l n c"], Float[Tensor, "l n c"]], Float[Tensor, "l n c"]]
"""(layer, q, k, v) after norm and rotation -> output. The backend knows who attends to whom: `attention.choose`.
Only sampling, whose cache has layers, uses the first argument."""

Heads = tuple[Float[Tensor, "rows n c"], Float[Tensor, "rows n c"], Float[Tensor, "rows n c"]]
"""Queries, keys and values."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, in float32. (Zhang and Sennrich 2019, arXiv:1910.07467.)"""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """Normalise the last dimension; the result has the type of `x`."""
        return F.rms_norm(x.float(), self.weight.shape, self.gain().float(), self.eps).to(x.dtype)

    def gain(self) -> Float[Tensor, " d"]:
        """The weight as the layer uses it; tensor parallelism routes its gradient here."""
        return self.weight


class Attention(nn.Module):
    """Multi-head attention; queries and keys are normalised per head, then rotated."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        """Rows (head, [q, k, v], channel)."""
        self.q_norm = RMSNorm(config.head_dim)
        self.k_norm = RMSNorm(config.head_dim)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def heads(self, x: Float[Tensor, "rows d"], rotation: Rotation | None) -> Heads:
        """Queries, keys and values: projected, normalised, rotated (unless positions are learned)."""
        projected = self.qkv(x)
        heads = projected.view(projected.shape[0], -1, 3, self.head_dim)
        q, k, v = self.q_norm(heads[:, :, 0]), self.k_norm(heads[:, :, 1]), heads[:, :, 2]
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        return q, k, v


class FeedForward(nn.Module):
    """SwiGLU of hidden width 4d: down(silu(gate x) * up x). (Shazeer 2020, arXiv:2002.05202.)"""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * 4 * config.width, bias=False)
        """Rows (hidden, [gate, up])."""
        self.down = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(self, x: Float[Tensor, "rows d"]) -> Float[Tensor, "rows d"]:
        """Transform each token alone."""
        return self.down(swiglu(self.gate_up(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Float[Tensor, "rows d"], rotation: Rotation | None, attend: Attend) -> Float[Tensor, "rows d"]:
        """One layer of the backbone; `attend` receives its index."""
        return self.after(x, attend(self.layer, *self.before(x, rotation)))

    def before(self, x: Float[Tensor, "rows d"], rotation: Rotation | None) -> Heads:
        """What attention reads. Apart from attention the block is two functions of fixed shapes, which compile once."""
        return self.attention.heads(self.attention_norm(x), rotation)

    def after(self, x: Float[Tensor, "rows d"], attended: Float[Tensor, "rows n c"]) -> Float[Tensor, "rows d"]:
        """The block's output from its input and what attention returned."""
        x = x + self.attention.out(attended.flatten(1))
        return x + self.feed_forward(self.feed_forward_norm(x))
