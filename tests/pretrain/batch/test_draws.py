"""Counter-based draws: the published generator, uniform, independent, the same in any shape."""

from __future__ import annotations

import pytest
import torch

from videoar.pretrain.batch.draws import draw

MASK = (1 << 64) - 1


def splitmix64(x: int) -> int:
    """Reference in Python integers (Steele, Lea and Flood 2014)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def reference(*words: int) -> float:
    state = splitmix64(words[0] & MASK)
    for word in words[1:]:
        state = splitmix64(state ^ (word & MASK))
    return (state >> 40) / (1 << 24)


def test_reference_is_splitmix64():
    """The constants are the published ones: the first output from state 0 is known."""
    assert splitmix64(0) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 - 1])
def test_equals_python_integers(seed):
    """An arithmetic shift or a saturating product would change the draws of large words."""
    counters = torch.tensor([[0, 1, 2], [2**63 - 1, -5, 12345678901234567]])
    drawn = draw(seed, 7, counters)
    expected = [[reference(seed, 7, int(c)) for c in row] for row in counters]
    assert drawn.tolist() == expected
    assert draw(seed, 7, 2).item() == expected[0][2]


def test_broadcast_equals_one_by_one():
    """A draw depends on its counters alone, not on the shape that it is drawn in."""
    a, b = torch.arange(5)[:, None], torch.arange(100, 103)
    table = draw(3, a, 9, b)
    assert table.shape == (5, 3)
    assert all(table[i, j] == draw(3, i, 9, 100 + j) for i in range(5) for j in range(3))


def test_order_of_counters_matters():
    """A symmetric fold would give frame 2 of scale 3 the numbers of frame 3 of scale 2."""
    assert len({draw(*order).item() for order in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (3, 2, 1), (2, 3, 1))}) == 5


def test_uniform():
    """Flip rates are only right if the draws are: 64 bins over 2^18 draws, chi-square within 5 sigma."""
    drawn = draw(11, torch.arange(1 << 18))
    assert 0 <= drawn.min()
    assert drawn.max() < 1
    counts = torch.histc(drawn, 64, 0, 1)
    chi_square = ((counts - 4096) ** 2 / 4096).sum().item()
    assert abs(chi_square - 63) < 5 * (2 * 63) ** 0.5


@pytest.mark.parametrize("lag", [1, 2, 48])
def test_neighbours_are_independent(lag):
    """Neighbouring counters, and equal counters of neighbouring seeds, are uncorrelated (5 sigma of 2^16 draws)."""
    n = 1 << 16
    one, other = draw(5, torch.arange(n)), draw(5, torch.arange(n) + lag)
    across = draw(5 + lag, torch.arange(n))
    for second in (other, across):
        correlation = torch.corrcoef(torch.stack([one, second]))[0, 1].item()
        assert abs(correlation) < 5 / n**0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    """The first and the last pipeline stage draw on different devices and must agree."""
    counters = torch.arange(1 << 12) * 987654321987
    assert torch.equal(draw(5, 3, counters.cuda()).cpu(), draw(5, 3, counters))
