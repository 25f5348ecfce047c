"""The generator (VideoAR §4.2): a decoder-only transformer that predicts the bits of each scale of each frame.

Plain PyTorch for one device over one token-major pack. It is the only definition: training shards it from outside,
sampling runs it with a cache behind `attend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from torch import Tensor, nn

from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.model.head import Head
from videoar.pretrain.model.layers import Attend, Block, RMSNorm
from videoar.pretrain.model.pretrained import ExportConfig, find_export, load_weights, read_config, write_export
from videoar.pretrain.model.rope import Rotation, rotation
from videoar.pretrain.model.vocabulary import text_length, text_tokens


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """One pack as the model reads it, on its device. Rows that are neither text, visual nor context are padding."""

    features: Float32[Tensor, "l k"]
    """Accumulated feature that a visual row starts from (Eq. 6), or of a context row's whole frame; 0 elsewhere."""
    scale: Int64[Tensor, " l"]
    """Scale of each visual row; -1 for text, context and padding."""
    is_context: Bool[Tensor, " l"]
    """True for context tokens, which only history `context` has."""
    is_start: Bool[Tensor, " l"]
    """True for the rows of <SOS>: the first scale of a sample's first frame."""
    positions: Float32[Tensor, "l 3"]
    """Position on (time, height, width), for the rotation (Eq. 7)."""
    places: Int64[Tensor, "l 3"]
    """Frame, row and column on the finest grid, for learned positions."""
    text_rows: Int64[Tensor, " m"]
    """Rows of the text."""
    text_tokens: Shaped[Tensor, "m ..."]
    """Token ids of the text, or the encoder's states."""
    text_index: Int64[Tensor, " m"]
    """Index of each text token within its sample, which is its row in the null table."""
    text_dropped: Bool[Tensor, " m"]
    """True for text that is replaced by the null table (classifier-free guidance)."""


class StatesProjection(nn.Module):
    """Linear(text width -> d) of an encoder's states, after a norm, because a few channels of T5 are much larger
    than all others."""

    def __init__(self, config: TextConfig, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width)
        self.project = nn.Linear(config.width, width, bias=False)

    def forward(self, states: Shaped[Tensor, "m ..."]) -> Float[Tensor, "m d"]:
        """One row for each text token; none in a pass without text."""
        states = states.reshape(-1, self.project.in_features).to(self.project.weight.dtype)
        return self.project(self.norm(states))


class TextEmbedding(nn.Module):
    """A vector for each token, learned or from an encoder's states, and the learned null table for dropped text."""

    def __init__(self, config: TextConfig, width: int, *, learned_positions: bool) -> None:
        super().__init__()
        self.tokens: nn.Module
        if config.kind == "t5":
            self.tokens = StatesProjection(config, width)
        else:
            self.tokens = nn.Embedding(text_tokens(config).vocab_size, width)
        self.null = nn.Embedding(text_length(config), width)
        self.positions = nn.Embedding(text_length(config), width) if learned_positions else None

    def forward(self, inputs: ModelInputs) -> Float[Tensor, "m d"]:
        """Embeddings of the pack's text; they include a position only if positions are learned."""
        dropped = inputs.text_dropped[:, None]
        text = torch.where(dropped, self.null(inputs.text_index), self.tokens(inputs.text_tokens))
        return text if self.positions is None else text + self.positions(inputs.text_index)


class PlaceEmbedding(nn.Module):
    """Learned positions of visual tokens: the sum of a frame's, a row's and a column's vector."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.frame = nn.Embedding(config.max_frames, config.width)
        self.row = nn.Embedding(config.max_side, config.width)
        self.column = nn.Embedding(config.max_side, config.width)

    def forward(self, places: Int64[Tensor, "l 3"]) -> Float[Tensor, "l d"]:
        """The baseline that Multi-scale Temporal RoPE is compared with."""
        frame, row, column = places.unbind(-1)
        return self.frame(frame) + self.row(row) + self.column(column)


class VideoAR(nn.Module):
    """Bits of every scale of every frame, from the text, the past frames and the coarser scales."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        learned = config.rope == "learned"
        self.config = config
        self.input = nn.Linear(config.latent_dim, config.width, bias=False)
        self.start = nn.Parameter(torch.zeros(config.width))
        self.scale = nn.Embedding(config.max_scales, config.width)
        self.context = nn.Parameter(torch.zeros(config.width)) if config.history == "context" else None
        self.text = TextEmbedding(config.text, config.width, learned_positions=learned)
        self.place = PlaceEmbedding(config) if learned else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.head = Head(config)

    def embed(self, inputs: ModelInputs) -> Float[Tensor, "l d"]:
        """Linear(feature) or <SOS>, plus the embedding of the scale (Eq. 7) or of context; text; zero for padding.

        In the precision of the products, also under autocast: that is the precision of the residual stream.
        """
        x = self.input(inputs.features.to(self.input.weight.dtype))
        dtype = x.dtype
        x = torch.where(inputs.is_start[:, None], self.start, x)
        scale = self.scale(inputs.scale.clamp(min=0))
        if self.context is not None:
            scale = torch.where(inputs.is_context[:, None], self.context, scale)
        x = x + scale
        if self.place is not None:
            x = x + self.place(inputs.places)
        x = x.masked_fill(((inputs.scale < 0) & ~inputs.is_context)[:, None], 0)
        return x.index_copy(0, inputs.text_rows, self.text(inputs).to(x.dtype)).to(dtype)

    def rotation(self, inputs: ModelInputs) -> Rotation | None:
        """Cosines and sines of the pack, the same for all layers; None if positions are learned."""
        if self.config.rope == "learned":
            return None
        return rotation(inputs.positions, self.config.head_dim, self.config.rope_base)

    def forward(self, inputs: ModelInputs, attend: Attend) -> Float32[Tensor, "l k"]:
        """Logits, one for each bit; positive means 1. Rows of text, context and padding have no meaning."""
        x, turn = self.embed(inputs), self.rotation(inputs)
        for block in self.blocks:
            x = block(x, turn, attend)
        return self.head(x)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and safetensors; `from_pretrained` reads them back equal."""
        write_export(folder, ExportConfig(model=self.config), self.state_dict().items())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> VideoAR:
        """The model that a folder of config.json and safetensors holds, or one that ships (by name), on the CPU."""
        folder = find_export(folder)
        with torch.device("meta"):
            model = cls(read_config(folder).model)
        model.load_state_dict(load_weights(folder, model.state_dict()), assign=True)
        return model
