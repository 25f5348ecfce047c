"""Models in which nothing is too small to be seen in their bits."""

from __future__ import annotations

import torch

from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model import VideoAR, init_weights


def loud_model(config: ModelConfig) -> VideoAR:
    """Weights large enough that attention and positions matter."""
    model = VideoAR(config).eval()
    init_weights(model, 3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(25)
    return model
