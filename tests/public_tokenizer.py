"""Infinity's public image tokenizer at a quarter of its width: key layout, and a 2-D forward pass over those names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BASE, WIDTHS, BITS = 32, (32, 64, 128, 128, 128), 16


def public_weights() -> dict[str, Tensor]:
    """Random weights under the names of the released files, at a quarter of their width."""
    generator, found = torch.Generator().manual_seed(0), {}

    def conv(name: str, inside: int, outside: int, side: int = 3) -> None:
        shape = (outside, inside, side, side)
        found[f"{name}.conv.weight"] = torch.randn(shape, generator=generator) / (inside * side * side) ** 0.5
        found[f"{name}.conv.bias"] = 0.1 * torch.randn(outside, generator=generator)

    def norm(name: str, width: int) -> None:
        found[f"{name}.norm.weight"] = 1 + 0.1 * torch.randn(width, generator=generator)
        found[f"{name}.norm.bias"] = 0.1 * torch.randn(width, generator=generator)

    def block(name: str, inside: int, outside: int) -> None:
        norm(f"{name}.norm1", inside), conv(f"{name}.conv1", inside, outside)
        norm(f"{name}.norm2", outside), conv(f"{name}.conv2", outside, outside)
        if inside != outside:
            conv(f"{name}.nin_shortcut", inside, outside, side=1)

    conv("encoder.conv_in", 3, BASE)
    conv("decoder.conv_in", BITS, WIDTHS[-1])
    for level, width in enumerate(WIDTHS):
        for index in range(2):
            block(f"encoder.down.{level}.block.{index}", WIDTHS[max(level - 1, 0)] if index == 0 else width, width)
        for index in range(3):
            block(f"decoder.up.{level}.block.{index}", WIDTHS[min(level + 1, 4)] if index == 0 else width, width)
        if level < 4:
            conv(f"encoder.down.{level}.downsample.conv", width, width)
        if level > 0:
            conv(f"decoder.up.{level}.upsample.conv", width, width)
    for side in ("encoder", "decoder"):
        block(f"{side}.mid.block_1", WIDTHS[-1], WIDTHS[-1]), block(f"{side}.mid.block_2", WIDTHS[-1], WIDTHS[-1])
    norm("encoder.norm_out", WIDTHS[-1]), conv("encoder.conv_out", WIDTHS[-1], BITS)
    norm("decoder.norm_out", BASE), conv("decoder.conv_out", BASE, 3)
    return found


class Public:
    """The released network as it is described: 2-D, by its own names."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights

    def conv(self, name: str, x: Tensor, **options: int) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.conv.weight"], self.weights[f"{name}.conv.bias"], **options)

    def act(self, name: str, x: Tensor) -> Tensor:
        return F.silu(F.group_norm(x, 32, self.weights[f"{name}.norm.weight"], self.weights[f"{name}.norm.bias"], 1e-6))

    def block(self, name: str, x: Tensor) -> Tensor:
        y = self.conv(f"{name}.conv1", self.act(f"{name}.norm1", x), padding=1)
        y = self.conv(f"{name}.conv2", self.act(f"{name}.norm2", y), padding=1)
        has_shortcut = f"{name}.nin_shortcut.conv.weight" in self.weights
        return y + (self.conv(f"{name}.nin_shortcut", x) if has_shortcut else x)

    def encode(self, image: Tensor) -> Tensor:
        x = self.conv("encoder.conv_in", image, padding=1)
        for level in range(5):
            x = self.block(f"encoder.down.{level}.block.1", self.block(f"encoder.down.{level}.block.0", x))
            if level < 4:
                x = self.conv(f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2)
        x = self.block("encoder.mid.block_2", self.block("encoder.mid.block_1", x))
        return self.conv("encoder.conv_out", self.act("encoder.norm_out", x), padding=1)

    def decode(self, latent: Tensor) -> Tensor:
        x = self.conv("decoder.conv_in", latent, padding=1)
        x = self.block("decoder.mid.block_2", self.block("decoder.mid.block_1", x))
        for level in reversed(range(5)):
            for index in range(3):
                x = self.block(f"decoder.up.{level}.block.{index}", x)
            if level > 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                x = self.conv(f"decoder.up.{level}.upsample.conv", x, padding=1)
        return self.conv("decoder.conv_out", self.act("decoder.norm_out", x), padding=1).clamp(-1, 1)
