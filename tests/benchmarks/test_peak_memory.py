"""The most memory that a call takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videoar.benchmarks import peak_memory
from videoar.benchmarks.peak_memory import peak_growth

CPU = torch.device("cpu")
MIB = 1 << 20


def test_what_a_call_frees_again_counts() -> None:
    """The difference between before and after is near zero for every attention: its peak is between them."""
    found = peak_growth(lambda: torch.ones(64 * MIB // 4).sum(), CPU)
    assert found is not None
    assert 60 * MIB < found < 80 * MIB


def test_memory_is_unknown_where_the_mark_cannot_be_reset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The mark of an earlier, larger call would be reported."""
    monkeypatch.setattr(peak_memory, "_CLEAR", tmp_path)
    assert peak_growth(lambda: None, CPU) is None
