"""Named sizes of the tokenizer."""

from __future__ import annotations

import dataclasses
import difflib

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import TokenizerConfig

PRESETS: dict[str, TokenizerConfig] = {
    "paper": TokenizerConfig(),
    "paper-light": TokenizerConfig(temporal_layers="resampling"),
    "paper-2d": TokenizerConfig(temporal_kernel=1),
    "infinity-d32": TokenizerConfig(temporal_kernel=1, latent_dim=32),
    "small": TokenizerConfig(base_channels=32, norm_groups=16),
    "tiny": TokenizerConfig(
        base_channels=8, multipliers=(1, 1, 2, 2, 4), encoder_blocks=1, decoder_blocks=1, norm_groups=4
    ),
}
"""`paper`: VideoAR's, 330 M parameters; `paper-light`: the same with mostly 2-D convolutions, 167 M parameters and a
third of the FLOPs; `paper-2d`: the image tokenizer that both are inflated from; `infinity-d32`: the public image
tokenizer of 32 bits; `small`: one GPU, an hour; `tiny`: tests on a CPU."""


def preset_config(name: str, latent_dim: int | None = None) -> TokenizerConfig:
    """The configuration of a named size, with another number of bits per token if `latent_dim` is given."""
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(PRESETS)}"
        raise InputError("tokenizer.preset", name, "is not a preset", remedy)
    preset = PRESETS[name]
    return preset if latent_dim is None else dataclasses.replace(preset, latent_dim=latent_dim)
