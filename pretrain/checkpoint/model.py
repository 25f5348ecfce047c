"""A plain model from a checkpoint, however the run that wrote it was cut over processes."""

from __future__ import annotations

import torch

from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model import VideoAR


def open_model(
    config: ModelConfig,
    saved: Checkpoint,
    *,
    ema: bool,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> VideoAR:
    """The model with the trained weights, or with their moving average; about a gigabyte is read at a time."""
    with torch.device("meta"):
        model = VideoAR(config)
    weights = {name: value.to(device, dtype) for name, value in saved.weights(ema=ema)}
    model.load_state_dict(weights, assign=True)
    return model.eval()
