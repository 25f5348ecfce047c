"""Which layers a pipeline stage holds, and that stages together hold every parameter once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.configs.sizes import size
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.pipeline_stages import carve
from videoar.pretrain.parallel.plan import split_layers


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 8, 24])
def test_layers_are_dealt_once_and_evenly(parts: int) -> None:
    """A stage with two layers more than another idles the rest of the pipeline for as long."""
    ranges = split_layers(size("l"), parts)
    assert [layer for layers in ranges for layer in layers] == list(range(24))
    sizes = [len(layers) for layers in ranges]
    assert max(sizes) == -(-24 // parts)
    assert min(sizes) >= 1


def test_a_dear_head_takes_layers_from_its_stage() -> None:
    """Embedding and head are not free: with a wide latent the ends get fewer layers."""
    wide = replace(size("tiny"), num_layers=9, latent_dim=64 * 16 * size("tiny").width // 16)
    first, middle, last = (len(layers) for layers in split_layers(wide, 3))
    assert last < middle
    assert first <= middle


def test_stages_hold_every_parameter_once_under_its_own_name() -> None:
    """Names are how checkpoints of different layouts meet."""
    names: list[str] = []
    parts = split_layers(recipe().model, 3)
    for index, layers in enumerate(parts):
        with torch.device("meta"):
            model = carve(VideoAR(recipe().model), layers, is_first=index == 0, is_last=index == len(parts) - 1)
        names += [name for name, _ in model.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in VideoAR(recipe().model).named_parameters())
