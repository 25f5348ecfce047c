"""Pipeline stages together hold every parameter once."""

from __future__ import annotations

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.cuts import split_layers
from videoar.pretrain.parallel.pipeline_stages import carve

pytestmark = pytest.mark.slow


def test_stages_hold_every_parameter_once_under_its_own_name() -> None:
    """Names are how checkpoints of different layouts meet."""
    names: list[str] = []
    parts = split_layers(recipe().model, 3)
    for index, layers in enumerate(parts):
        with torch.device("meta"):
            model = carve(VideoAR(recipe().model), layers, is_first=index == 0, is_last=index == len(parts) - 1)
        names += [name for name, _ in model.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in VideoAR(recipe().model).named_parameters())
