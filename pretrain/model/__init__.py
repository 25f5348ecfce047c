"""The generator: plain PyTorch, one device, token-major packs."""

from videoar.pretrain.model.initial import init_weights
from videoar.pretrain.model.videoar import ModelInputs, VideoAR

__all__ = ["ModelInputs", "VideoAR", "init_weights"]
