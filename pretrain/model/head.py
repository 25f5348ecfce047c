"""From the backbone's output to bits."""

from __future__ import annotations

from jaxtyping import Float, Float32
from torch import Tensor, nn

from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model.layers import RMSNorm


class Head(nn.Module):
    """One logit for each bit, the log odds of 1: the same function as Infinity's two-way softmax (arXiv:2412.04431)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width)
        self.out = nn.Linear(config.width, config.latent_dim, bias=False)

    def forward(self, x: Float[Tensor, "rows d"]) -> Float32[Tensor, "rows k"]:
        """Logits in float32; those of text and padding have no meaning."""
        return self.out(self.norm(x)).float()
