"""The frames of a pack's samples: what they need of a shard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError


def test_a_bits_only_shard_is_refused_with_correction_on(toy) -> None:
    """Without the latent there is nothing to re-quantise; the message names the remedy."""
    sample = replace(toy.sample(1), latent=None)
    with pytest.raises(InputError, match=r"correction\.targets=corrected.*correction\.targets=stored"):
        toy.pack(sample)
    toy.plain_pack(sample)
    toy.with_correction(targets="stored").pack(sample)
    toy.with_correction(corruption="off").pack(sample)
