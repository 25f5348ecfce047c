"""Random clips for tests."""

from __future__ import annotations

import torch


def video(frames: int, height: int = 32, width: int = 48, b: int = 1, seed: int = 0) -> torch.Tensor:
    """Noise in [-1, 1], the same for the same seed."""
    return torch.rand(b, 3, frames, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
