"""FLOPs of a step and the share of the peak."""

from __future__ import annotations

import pytest
import torch

from videoar.configs.sizes import B4_HD128, TINY, L
from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.budget.flops import training_flops, utilisation
from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer.scales import ScaleSchedule


def test_flops_are_six_for_each_weight_and_token() -> None:
    """Hours of every recipe follow from this formula."""
    weights = TINY.num_layers * 16 * TINY.width**2 + 2 * TINY.width * TINY.latent_dim
    assert training_flops(TINY, 10, 0.0) == 60 * weights
    assert training_flops(TINY, 0, 5.0) == 60 * TINY.width * TINY.num_layers


@pytest.mark.parametrize(
    ("model", "schedule", "frames"),
    [(TINY, "32x32", 3), (L, "128x128", 5), (B4_HD128, "256x256", 9)],
    ids=["tiny", "l", "4b-hd128"],
)
def test_the_formula_is_a_count_of_products_and_pairs(model: ModelConfig, schedule: str, frames: int) -> None:
    """Every linear layer of the model, and every pair of the rectangles, each with a multiply and an add."""
    scales = ScaleSchedule.named(schedule)
    segment = Segment(scales, frames, 4, 0, window_mask(frames, 16))
    layout = PackLayout((segment,), segment.visual.stop)
    with torch.device("meta"):
        linears = [module for module in VideoAR(model).modules() if isinstance(module, torch.nn.Linear)]
    products = layout.length * sum(2 * linear.in_features * linear.out_features for linear in linears)
    per_frame = sum(tokens * end for tokens, end in zip(scales.tokens, scales.offsets[1:], strict=True))
    past = scales.tokens_per_frame**2 * frames * (frames - 1) // 2
    pairs = 4 * 4 + frames * (4 * scales.tokens_per_frame + per_frame) + past
    scores_and_values = model.num_layers * model.num_heads * pairs * (2 * model.head_dim + 2 * model.head_dim)
    assert pairs == layout.attended_pairs
    assert training_flops(model, layout.length, float(pairs)) == 3 * (products + scores_and_values)


def test_mfu_is_a_share_of_the_peak_of_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak of one device for a run on several would report an MFU above 1; an unknown device has none."""
    assert utilisation(1e15, 1) is None or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    assert utilisation(GPUS["H100"].flops_per_s, 2) == 0.5
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Unheard of")
    assert utilisation(1e15, 1) is None
