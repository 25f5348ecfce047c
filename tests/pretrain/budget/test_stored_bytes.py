"""Bytes of stored samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.pretrain.budget.stored_bytes import sample_bytes


def test_several_buckets_are_averaged() -> None:
    """A dataset of all aspect ratios is neither as large nor as expensive as its first shape."""
    recipe = t2v_4b()
    images = recipe.data.datasets[0]
    assert sample_bytes(recipe, images) == 521 * 6 + 48 * (256 + 4)
    wide = replace(images, all_aspects=True)
    assert sample_bytes(recipe, wide) != sample_bytes(recipe, images)
    assert sample_bytes(recipe, wide) == pytest.approx(sample_bytes(recipe, images), rel=0.15)
