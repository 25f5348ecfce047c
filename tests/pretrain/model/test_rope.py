"""Multi-scale Temporal RoPE (Eq. 7): text is plain RoPE, scales share angles, each axis gets all frequencies."""

import numpy as np
import pytest
import torch

from videoar.pretrain.model.rope import coordinates, rotate, rotation
from videoar.tokenizer.scales import ScaleSchedule


def plain_rope(x: torch.Tensor, base: float = 10_000.0) -> torch.Tensor:
    """One-axis RoPE of token i at position i (Su et al. 2021), by complex numbers."""
    tokens, _, c = x.shape
    theta = base ** (-torch.arange(0, c, 2, dtype=torch.float64) / c)
    turn = torch.polar(torch.ones(tokens, c // 2, dtype=torch.float64), torch.arange(tokens)[:, None] * theta)
    pairs = torch.complex(x[..., : c // 2].double(), x[..., c // 2 :].double()) * turn[:, None]
    return torch.cat([pairs.real, pairs.imag], dim=-1).float()


@pytest.mark.parametrize("head_dim", [16, 80, 128])
def test_text_is_native_rope(head_dim: int) -> None:
    """Three equal positions turn every frequency alike: design principle 1 of the paper."""
    x = torch.randn(40, 2, head_dim)
    positions = torch.arange(40.0)[:, None].expand(-1, 3)
    torch.testing.assert_close(rotate(x, rotation(positions, head_dim, 10_000.0)), plain_rope(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("head_dim", "counts"), [(128, [22, 21, 21]), (80, [14, 13, 13])])
def test_axes_are_dealt_in_turn(head_dim: int, counts: list[int]) -> None:
    """Consecutive chunks would leave width nearly blind: each axis gets fast and slow frequencies."""
    for axis in range(3):
        positions = torch.zeros(1, 3)
        positions[0, axis] = 1.0
        _, sin = rotation(positions, head_dim, 10_000.0)
        turned = sin[0].nonzero().flatten()
        assert turned.tolist() == list(range(axis, head_dim // 2, 3))
        assert len(turned) == counts[axis]


def test_scores_depend_on_differences() -> None:
    """Rotary positions are relative: moving both tokens along any axis leaves the score."""
    q, k = torch.randn(1, 3, 32), torch.randn(1, 3, 32)
    shift = torch.tensor([[5.0, 2.5, 11.0]])

    def score(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (rotate(q, rotation(a, 32, 100.0)) * rotate(k, rotation(b, 32, 100.0))).sum(-1)

    a, b = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 4.0, 0.5]])
    torch.testing.assert_close(score(a, b), score(a + shift, b + shift), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(score(a, b), score(a + shift, b), atol=1e-2)


@pytest.mark.parametrize("name", ["256x256", "384x672", "1776x592"])
def test_a_place_has_one_coordinate_at_every_scale(name: str) -> None:
    """`centre`: cells of each scale cover the grid evenly, never below 0; 1x1 sits at the true centre."""
    schedule = ScaleSchedule.named(name)
    for grid in schedule.grids:
        for cells, finest in zip(grid, schedule.grid, strict=True):
            centre = coordinates(cells, finest, "centre")
            assert centre.mean() == pytest.approx((finest - 1) / 2)
            assert centre.min() >= 0
            assert centre.max() <= finest - 1
            assert np.allclose(np.diff(centre), finest / cells)
    assert np.array_equal(coordinates(7, 7, "centre"), np.arange(7))
    assert coordinates(1, 16, "centre").tolist() == [7.5]


def test_a_coarse_cell_is_the_middle_of_the_cells_it_covers() -> None:
    """2 over 8: cells 0-3 and 4-7."""
    fine = coordinates(8, 8, "centre").reshape(2, 4)
    assert np.allclose(coordinates(2, 8, "centre"), fine.mean(axis=1))


def test_the_other_settings_are_as_printed() -> None:
    """The ablation compares with the formula as printed and with corner alignment."""
    assert coordinates(4, 16, "raw").tolist() == [0, 1, 2, 3]
    assert coordinates(4, 16, "corner").tolist() == [0, 4, 8, 12]


def test_angles_are_float32_for_any_model_type() -> None:
    """Angles in bfloat16 are wrong by up to 2 rad; values keep their type."""
    cos, sin = rotation(torch.full((1, 3), 300.0), 64, 10_000.0)
    assert cos.dtype == sin.dtype == torch.float32
    exact = np.cos(300.0 * 10_000.0 ** (-2 * np.arange(32) / 64))
    assert np.allclose(cos[0], exact, atol=1e-4)
    assert rotate(torch.ones(1, 1, 64, dtype=torch.bfloat16), (cos, sin)).dtype == torch.bfloat16
