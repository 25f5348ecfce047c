"""The binary spherical quantiser."""

from __future__ import annotations

import math

import torch

from videoar.tokenizer import bsq


def vectors(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_bits_codes_bits_is_the_identity() -> None:
    """Shards hold bits, the decoder reads codes: a bit lost on the way is lost permanently."""
    bits = vectors(5, 7, 48) > 0
    assert torch.equal(bsq.bits(bsq.codes(bits)), bits)
    torch.testing.assert_close(bsq.codes(bits).norm(dim=-1), torch.ones(5, 7))


def test_code_is_the_nearest_corner() -> None:
    """The sign is the nearest corner of the hypercube; any other corner is farther from the normalised vector."""
    z = vectors(6, 8)
    corners = bsq.codes(torch.tensor([[n >> j & 1 for j in range(8)] for n in range(256)], dtype=torch.bool))
    nearest = corners[torch.cdist(bsq.normalized(z), corners).argmin(dim=-1)]
    torch.testing.assert_close(bsq.quantize(z), nearest)


def test_gradient_passes_straight_through() -> None:
    """The quantiser is a step function; without the straight-through term this gradient is zero."""
    z, weight = vectors(4, 16).requires_grad_(), vectors(4, 16, seed=1)
    (bsq.quantize(z) * weight).sum().backward()
    expected = torch.autograd.grad((bsq.normalized(z) * weight).sum(), z)[0]
    torch.testing.assert_close(z.grad, expected)


def test_entropy_penalty_equals_its_formula() -> None:
    """Mean of the entropies minus entropy of the mean, with p = sigmoid(-4 u / sqrt(k) * 100), written out."""
    z, k = vectors(64, 16), 16
    p = torch.sigmoid(-4 * z.double() / z.double().norm(dim=-1, keepdim=True) / math.sqrt(k) * 100)

    def entropy(p: torch.Tensor) -> torch.Tensor:
        return torch.special.entr(p) + torch.special.entr(1 - p)

    expected = entropy(p).sum(-1).mean() - entropy(p.mean(0)).sum()
    torch.testing.assert_close(bsq.entropy_penalty(z).double(), expected, atol=1e-4, rtol=0)


def test_entropy_penalty_prefers_decided_and_diverse_bits() -> None:
    """A sign error here would collapse the codebook: equal vectors must score worse than diverse ones."""
    diverse = vectors(256, 16)
    collapsed = diverse[:1].expand(256, 16)
    assert bsq.entropy_penalty(diverse) < -0.9 * 16 * math.log(2) < bsq.entropy_penalty(collapsed) + 1


def test_entropy_penalty_has_a_finite_gradient_when_bits_saturate() -> None:
    """At inverse temperature 100 every bit saturates; 0 * log 0 must not become a NaN in the gradient."""
    z = torch.tensor([[1.0] + [0.0] * 7, [100.0] + [0.0] * 7]).requires_grad_()
    (bsq.entropy_penalty(z) + bsq.commitment(z)).backward()
    assert torch.isfinite(z.grad).all()
