"""Multi-scale residual quantisation against its definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from videoar.tokenizer import residual
from videoar.tokenizer.bsq import codes
from videoar.tokenizer.scales import ScaleSchedule


def latent(schedule: ScaleSchedule, n: int = 3, k: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, k, *schedule.grid, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["128x128", "192x336"])
def test_equals_the_loop_of_the_definition(name: str) -> None:
    """A transposed token order, a wrong interpolation or a skipped residual gives other bits than these."""
    schedule = ScaleSchedule.named(name)
    x = latent(schedule)
    r, expected = x.clone(), []
    for grid in schedule.grids:
        z = F.interpolate(r, size=grid, mode="area")
        q = torch.where(z > 0, 1.0, -1.0) / x.shape[1] ** 0.5
        r = r - (F.interpolate(q, size=schedule.grid, mode="bilinear") if grid != schedule.grid else q)
        expected.append((z > 0).permute(0, 2, 3, 1).flatten(1, 2))
    found = residual.quantize_residual(x, schedule)
    assert torch.equal(found, torch.cat(expected, dim=1))
    torch.testing.assert_close(residual.accumulate(found, schedule), x - r, atol=1e-5, rtol=0)


def test_training_loop_gives_the_stored_bits() -> None:
    """Training on another quantiser than the one that writes shards would make the weights useless."""
    schedule = ScaleSchedule.named("128x128")
    x = latent(schedule)
    kept = torch.ones(3, schedule.num_scales, dtype=torch.bool)
    total, seen = residual.quantize_training(x, schedule, kept)
    bits = residual.quantize_residual(x, schedule)
    assert torch.equal(torch.cat(seen, dim=1) > 0, bits)
    torch.testing.assert_close(total, residual.accumulate(bits, schedule), atol=1e-5, rtol=0)


def test_dropped_scale_adds_nothing() -> None:
    """Scale dropout must leave the dropped scale out of the sum, for the chosen frames alone."""
    schedule = ScaleSchedule.named("64x64")
    x = latent(schedule, n=2)
    kept = torch.ones(2, schedule.num_scales, dtype=torch.bool)
    kept[1, :-1] = False
    total, _ = residual.quantize_training(x, schedule, kept)
    only_last = residual.as_grid(codes(residual.as_tokens(x[1:]) > 0), schedule.grid)
    torch.testing.assert_close(total[1:], only_last, atol=1e-6, rtol=0)
    whole, _ = residual.quantize_training(x[:1], schedule, kept[:1])
    torch.testing.assert_close(total[:1], whole, atol=1e-6, rtol=0)


def test_each_frame_is_quantised_alone() -> None:
    """A statistic shared between frames would make the bits of one depend on its batch."""
    schedule = ScaleSchedule.named("128x128")
    x = latent(schedule, n=4)
    together = residual.quantize_residual(x, schedule)
    assert torch.equal(together[2:3], residual.quantize_residual(x[2:3], schedule))


def test_low_precision_input_is_quantised_in_float32() -> None:
    """Under autocast the residual loop must still run in float32, or shards and trainer hold other bits."""
    schedule = ScaleSchedule.named("128x128")
    x = latent(schedule)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(residual.quantize_residual(x, schedule), residual.quantize_residual(x.clone(), schedule))
        assert residual.accumulate(residual.quantize_residual(x, schedule), schedule).dtype == torch.float32


def test_bilinear_down_reads_four_cells_and_area_reads_all() -> None:
    """A corner impulse vanishes from a bilinear 1x1: the reason the first scale of a frame is fed by area."""
    x = torch.zeros(1, 8, 8, 8)
    x[..., 0, 0] = 64.0
    assert residual.down(x, (1, 1), "bilinear").abs().max() == 0
    torch.testing.assert_close(residual.down(x, (1, 1), "area"), torch.ones(1, 8, 1, 1))
