"""From weights to video: cached decoding over frames and scales, guidance, continuation, files."""

from videoar.pretrain.generate.guidance import Guidance
from videoar.pretrain.generate.pipeline import Request, VideoPipeline
from videoar.pretrain.generate.video import Video

__all__ = ["Guidance", "Request", "Video", "VideoPipeline"]
