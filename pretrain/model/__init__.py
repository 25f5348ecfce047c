"""The generator: plain PyTorch for one device, over token-major packs; training shards it from outside.

It needs only the core dependencies. It may import the tokenizer and the configuration.
"""

from videoar.pretrain.model.initial import init_weights
from videoar.pretrain.model.videoar import ModelInputs, VideoAR

__all__ = ["ModelInputs", "VideoAR", "init_weights"]
