"""The most memory that a call takes."""

from __future__ import annotations

import torch

from videoar.benchmarks.peak_memory import peak_growth

CPU = torch.device("cpu")
MIB = 1 << 20


def test_what_a_call_frees_again_counts() -> None:
    """The difference between before and after is near zero for every attention: its peak is between them."""
    assert 64 * MIB <= peak_growth(lambda: torch.ones(64 * MIB // 4).sum(), CPU) < 65 * MIB


def test_what_was_there_before_does_not_count() -> None:
    """Weights and inputs are the same for every subject."""
    held = torch.ones(MIB)
    assert peak_growth(lambda: torch.add(held, held, out=held), CPU) == 0
