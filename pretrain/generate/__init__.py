"""From weights to video: cached decoding over frames and scales, guidance, continuation, files.

It runs without the training and data extras (T5 prompts need transformers). It may import the model, the tokenizer and
the counter-based draws of `batch`.
"""

from videoar.pretrain.generate.pipeline import VideoPipeline
from videoar.pretrain.generate.request import Request
from videoar.pretrain.generate.result import Video
from videoar.pretrain.guidance import Guidance

__all__ = ["Guidance", "Request", "Video", "VideoPipeline"]
