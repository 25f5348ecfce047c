"""Hugging Face's Llama in the shape of our model, trained on the same pack: the cost of a step of plain PyTorch.

Same width, layers, heads and SwiGLU, so the same number of weights; same dense mask, loss, clipping and AdamW. It has
one position per row instead of our three, and does not normalise queries and keys.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.config import ModelConfig, Recipe
from videoar.pretrain.engine.loss import token_losses
from videoar.pretrain.engine.optim import adamw


class Llama(nn.Module):
    """A projection of the features, Llama's layers and its norm, and a projection to bits."""

    def __init__(self, config: ModelConfig, length: int) -> None:
        super().__init__()
        shape = LlamaConfig(
            vocab_size=1,
            bos_token_id=None,
            eos_token_id=None,
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_heads,
            max_position_embeddings=length,
            use_cache=False,
        )
        shape._attn_implementation = (
            "sdpa"  # the default of a config that is built by hand is looked up when it is used
        )
        self.input = nn.Linear(config.latent_dim, config.width, bias=False)
        self.layers = LlamaModel(shape)
        self.head = nn.Linear(config.width, config.latent_dim, bias=False)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Logits of a pack."""
        hidden = self.layers(inputs_embeds=self.input(features)[None], attention_mask=mask[None, None])
        logits: Tensor = self.head(hidden.last_hidden_state[0]).float()
        return logits


class LlamaStep:
    """Training steps on one pack."""

    def __init__(self, recipe: Recipe, pack: Pack, device: torch.device) -> None:
        self._recipe, self._pack, self._device = recipe, pack, device
        with torch.device(device):
            self.model = Llama(recipe.model, pack.layout.length)
        self._optimizer = adamw(self.model.named_parameters(), recipe.optimizer)
        mask = pack.layout.dense_mask().to(device)
        self._mask = mask | ~mask.any(dim=1, keepdim=True)  # a row of padding that attends to nothing would give NaN

    def __call__(self) -> None:
        """Forward, backward, clipping and AdamW."""
        frames = sum(segment.num_frames for segment in self._pack.layout.segments)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            logits = self.model(self._pack.inputs.features, self._mask)
        loss = (token_losses(logits, self._pack.targets) * self._pack.weights).sum() / frames
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.optimizer.clip_norm or math.inf)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
