"""Model sizes: the paper's three (VideoAR, Tables 1 and 3), a kernel-friendlier 4B, and one for tests.

The paper prints widths, depths and heads, and totals of 926M, 2.0B and 4B. 16 d^2 parameters a layer (attention 4 d^2,
SwiGLU of hidden 4d 12 d^2) is the per-layer size that fits 926M; "2.0B" fits no consistent design (XL has 2.15B).
"""

from __future__ import annotations

import difflib

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.budget.memory import parameter_sizes
from videoar.pretrain.config import ModelConfig

L = ModelConfig(num_layers=24, width=1536, num_heads=12)
"""0.91B; the paper's VideoAR-L."""

XL = ModelConfig(num_layers=32, width=2048, num_heads=16)
"""2.15B; the paper's VideoAR-XL."""

B4 = ModelConfig(num_layers=36, width=2560, num_heads=32)
"""3.8B; the paper's VideoAR-4B, whose heads of 80 are padded by attention kernels."""

B4_HD128 = ModelConfig(num_layers=36, width=2560, num_heads=20)
"""3.8B with 20 heads of 128: the same size, no padding."""

TINY = ModelConfig(num_layers=3, width=64, num_heads=2)
"""A model for tests. (The debug recipe has another one, with four layers of the same width.)"""

SIZES = {"tiny": TINY, "l": L, "xl": XL, "4b": B4, "4b-hd128": B4_HD128}

PUBLISHED_PARAMETERS = {"l": 926_000_000, "xl": 2_000_000_000, "4b": 4_000_000_000}
"""Numbers of parameters that the paper prints."""


def size(name: str) -> ModelConfig:
    """The configuration of a named size; use `dataclasses.replace` to set text, rope and other fields."""
    if name not in SIZES:
        close = difflib.get_close_matches(name, SIZES, n=1) or list(SIZES)
        raise InputError("size", name, "is not a model size", f"use {' or '.join(close)}")
    return SIZES[name]


def parameter_count(config: ModelConfig) -> int:
    """Parameters of the whole model, text tables included, counted without allocating them."""
    return sum(parameter_sizes(config).values())


def parameter_summary(config: ModelConfig) -> str:
    """One line: our count, and the paper's if the shape is one of the paper's."""
    ours = f"{parameter_count(config) / 1e6:,.1f}M parameters"
    for name, published in PUBLISHED_PARAMETERS.items():
        if _shape(size(name)) == _shape(config):
            return f"{ours} (VideoAR-{name.upper()}; the paper prints {published / 1e6:,.0f}M)"
    return ours


def _shape(config: ModelConfig) -> tuple[int, int, int]:
    return config.num_layers, config.width, config.num_heads
