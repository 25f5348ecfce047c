"""Pipeline stages together hold every parameter once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.cuts import split_layers
from videoar.pretrain.parallel.pipeline_stages import carve
from videoar.tokenizer.scales import HistoryKind

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("history", ["scales", "context"])
def test_stages_hold_every_parameter_once_under_its_own_name(history: HistoryKind) -> None:
    """Names are how checkpoints of different layouts meet."""
    names: list[str] = []
    config = replace(recipe().model, history=history)
    parts = split_layers(config, 3)
    for index, layers in enumerate(parts):
        with torch.device("meta"):
            model = carve(VideoAR(config), layers, is_first=index == 0, is_last=index == len(parts) - 1)
        names += [name for name, _ in model.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in VideoAR(config).named_parameters())
