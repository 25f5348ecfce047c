"""AdamW's parameter groups."""

from __future__ import annotations

from videoar.configs.debug import recipe
from videoar.pretrain.config import OptimizerConfig
from videoar.pretrain.engine.optim import adamw
from videoar.pretrain.model import VideoAR


def test_only_matrices_decay() -> None:
    """Decay on the gains of norms pulls them to zero and with them the layer."""
    optimizer = adamw(VideoAR(recipe().model).named_parameters(), OptimizerConfig())
    matrices, vectors = optimizer.param_groups
    assert matrices["weight_decay"] == 0.05
    assert vectors["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in matrices["params"])
    assert all(parameter.ndim == 1 for parameter in vectors["params"])
