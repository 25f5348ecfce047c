"""The adversarial terms of Eq. 4: hinge losses of decoder and discriminator, LeCAM, and the adaptive weight.

Hinge: Lim and Ye 2017 (arXiv:1705.02894). LeCAM: Tseng et al. 2021 (arXiv:2104.03310), in its form with moving
averages. Adaptive weight: Esser et al. 2021 (VQGAN, arXiv:2012.09841), Eq. 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from videoar.tokenizer.training.peers import Peers

_LARGEST_BALANCE = 1e4
_DELTA = 1e-4
"""Keeps the adaptive weight finite (VQGAN's constants)."""


def generator_hinge(fake: Float[Tensor, "*scores"]) -> Float32[Tensor, ""]:
    """The decoder's term: minus the mean score of what it decoded."""
    return -fake.float().mean()


def discriminator_hinge(real: Float[Tensor, "*scores"], fake: Float[Tensor, "*scores"]) -> Float32[Tensor, ""]:
    """Half the mean of relu(1 - D(real)), plus half the mean of relu(1 + D(fake))."""
    return 0.5 * (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean())


def lecam(
    real: Float[Tensor, "*scores"], fake: Float[Tensor, "*scores"], averages: Float32[Tensor, " 2"]
) -> Float32[Tensor, ""]:
    """mean relu(D(real) - average of D(fake))² + mean relu(average of D(real) - D(fake))² (Tseng et al., Eq. 4).

    `averages` holds the moving averages of D(real) and D(fake), in this order.
    """
    of_real, of_fake = averages.unbind()
    return F.relu(real.float() - of_fake).square().mean() + F.relu(of_real - fake.float()).square().mean()


@torch.no_grad()
def update_averages(
    averages: Float32[Tensor, " 2"],
    real: Float[Tensor, "*scores"],
    fake: Float[Tensor, "*scores"],
    decay: float,
    peers: Peers,
    *,
    is_first: bool,
) -> None:
    """Move the averages towards the mean scores of the whole batch, at the first step all the way."""
    means = peers.mean(torch.stack([real.float().mean(), fake.float().mean()]))
    averages.lerp_(means, 1.0 if is_first else 1 - decay)


def adaptive_balance(
    others: Float32[Tensor, ""], adversarial: Float32[Tensor, ""], last_layer: Tensor, peers: Peers
) -> Float32[Tensor, ""]:
    """|gradient of the other terms| / (|gradient of the adversarial term| + 1e-4) at the decoder's last layer.

    Clamped to [0, 10,000] and treated as a constant in the backward pass. Both gradients cover the whole batch.
    """
    norms = []
    for term in (others, adversarial):
        (gradient,) = torch.autograd.grad(term, last_layer, retain_graph=True)
        norms.append(peers.mean(gradient.float()).norm())
    return (norms[0] / (norms[1] + _DELTA)).clamp(0, _LARGEST_BALANCE).detach()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside the block, gradients pass through the network and are not added to its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
