"""FLOPs of a step and the share of the peak."""

from __future__ import annotations

import pytest
import torch

from videoar.configs.sizes import TINY
from videoar.pretrain.budget.flops import PEAK_FLOPS, training_flops, utilisation


def test_flops_are_six_for_each_weight_and_token() -> None:
    """Hours of every recipe follow from this formula."""
    weights = TINY.num_layers * 16 * TINY.width**2 + 2 * TINY.width * TINY.latent_dim
    assert training_flops(TINY, 10, 0.0) == 60 * weights
    assert training_flops(TINY, 0, 5.0) == 60 * TINY.width * TINY.num_layers


def test_mfu_is_a_share_of_the_peak_of_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak of one device for a run on several would report an MFU above 1; an unknown device has none."""
    assert utilisation(1e15, 1) is None or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    assert utilisation(PEAK_FLOPS["H100"], 2) == 0.5
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Unheard of")
    assert utilisation(1e15, 1) is None
