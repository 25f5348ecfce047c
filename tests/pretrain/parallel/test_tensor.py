"""What tensor parallelism does to the plain model."""

from __future__ import annotations

import pytest
import torch
from megatron.core import ModelParallelConfig
from torch import nn

from videoar.configs.debug import recipe
from videoar.pretrain.checkpoint.fragment import Cut
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.mesh import Mesh
from videoar.pretrain.parallel.tensor import mark_cut, shard

pytestmark = pytest.mark.slow


class Alone(Mesh):
    """A tensor group of one process."""

    def __init__(self) -> None:
        pass

    tensor_size = property(lambda self: 1)  # type: ignore[assignment]


def test_a_group_of_one_keeps_the_plain_model() -> None:
    """Data parallelism alone must train the very model that a single process trains."""
    with torch.device("meta"):
        model = VideoAR(recipe().model)
    before = dict(model.named_modules())
    shard(model, Alone(), ModelParallelConfig())
    assert dict(model.named_modules()) == before


def test_only_cut_parameters_are_marked() -> None:
    """DeepSpeed counts a marked parameter on every process: a whole one would be in the norm several times."""
    cut, whole = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    mark_cut(cut, Cut(0, 1, 2))
    mark_cut(whole, None)
    assert getattr(cut, "tensor_model_parallel", False)
    assert not getattr(whole, "tensor_model_parallel", False)
