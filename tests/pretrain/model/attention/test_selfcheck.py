"""The doctor's call of attention finds what is wrong with it."""

from __future__ import annotations

import pytest
import torch

from videoar.pretrain.model.attention import flash_cpu
from videoar.pretrain.model.attention.selfcheck import selfcheck


def test_this_machine_attends_rightly() -> None:
    """The CPU's kernels are right, and named."""
    check = selfcheck(torch.device("cpu"))
    assert check.error <= check.allowed < 0.1
    assert check.kernels == "flash (PyTorch, CPU)"


def test_a_wrong_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that scales its scores wrongly still gives plausible outputs."""
    right = flash_cpu._forward
    monkeypatch.setattr(flash_cpu, "_forward", lambda q, k, v, *rest: right(1.1 * q, k, v, *rest))
    check = selfcheck(torch.device("cpu"))
    assert check.error > check.allowed
