"""Gradient norms by block of the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from videoar.pretrain.engine.block_norms import BlockSums, block_names, block_of


def test_every_parameter_belongs_to_one_block(toy: Any) -> None:
    """Embedding and head get what is theirs, and each block's norm is that of its own parameters alone."""
    model = toy.model()
    names = [name for name, _ in model.named_parameters()]
    heads = [name for name in names if block_of(name, 3) == 4]
    assert heads
    assert all(name.startswith("head.") for name in heads)
    assert all(name.split(".")[0] not in ("blocks", "head") for name in names if block_of(name, 3) == 0)
    norms = torch.stack([parameter.norm() for parameter in model.parameters()])
    found = BlockSums(names, 3, torch.device("cpu")).squares(norms).sqrt()
    second = torch.cat([parameter.flatten() for parameter in model.blocks[1].parameters()]).norm()
    assert float(found[2].detach()) == pytest.approx(float(second.detach()))
    assert block_names(3) == ("embedding", "block_00", "block_01", "block_02", "head")
