"""Sources that are drawn and have no files: moving shapes, and the small world."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources import shapes
from videoar.data_pipeline.sources.source import Source
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.scene import scene
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule


def drawn_sources(config: SourceConfig) -> Iterator[Source]:
    """Every clip of a drawn source, with its caption and label; its path is its number."""
    for index in range(config.num_clips):
        if config.kind == "world":
            shown = scene(config.seed, index)
            said, label = caption(shown), shown.label
        else:
            what = shapes.drawing(config.seed, index)
            said, label = what.caption, what.label
        yield Source(path=str(index), etag=str(config.seed), caption=said, label=label)


def draw_clip(config: SourceConfig, index: int, bucket: ClipBucket) -> UInt8[np.ndarray, "f h w 3"]:
    """The pixels of a clip, RGB."""
    if config.kind == "world":
        pixels = ScaleSchedule.named(bucket.schedule).pixels
        return draw(scene(config.seed, index), bucket.num_frames, pixels, bucket.fps)
    return shapes.draw_clip(config.seed, index, bucket)
