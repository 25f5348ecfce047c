"""A plain model from a checkpoint, with the trained weights or their average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, step_name
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.checkpoint.holdings import whole_place
from videoar.pretrain.checkpoint.model import open_model
from videoar.pretrain.checkpoint.saver import write_checkpoint


def test_trained_weights_or_their_average(toy: Any, tmp_path: Path) -> None:
    """Samples, diagnosis and export would judge the wrong weights, and nothing else would show it."""
    model, root = toy.model(), Storage.open(str(tmp_path))
    fragments = [
        Fragment(whole_place(name, value), {"master": value.detach().view(-1), "ema": 2 * value.detach().view(-1)})
        for name, value in model.named_parameters()
    ]
    write_checkpoint(root, [fragments], {"step": 1})
    saved = Checkpoint(root.child(step_name(1)))
    trained, average = (open_model(toy.config, saved, ema=ema) for ema in (False, True))
    low = open_model(toy.config, saved, ema=False, dtype=torch.bfloat16)
    for name, value in model.named_parameters():
        assert torch.equal(trained.get_parameter(name), value)
        assert torch.equal(average.get_parameter(name), 2 * value)
        assert torch.equal(low.get_parameter(name), value.bfloat16())
