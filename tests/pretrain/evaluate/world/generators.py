"""Generators whose score is known: one that draws the scene that was asked for, and one whose picture stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.generate import Request, Video
from videoar.tokenizer import ScaleSchedule


@dataclass(frozen=True)
class Perfect:
    """Draws the scene of the sentence, from its beginning."""

    scenes: Sequence[Scene]

    def batch(self, requests: Sequence[Request]) -> list[Video]:
        by_sentence = {caption(what): what for what in self.scenes}
        videos = []
        for request in requests:
            assert request.prompt is not None
            assert request.num_frames is not None
            pixels = ScaleSchedule.named(str(request.schedule)).pixels
            videos.append(Video(draw(by_sentence[request.prompt], request.num_frames, pixels, 8.0), 8.0))
        return videos


@dataclass(frozen=True)
class Still(Perfect):
    """Shows the first frame of it, or the last one that is given, all the time."""

    def batch(self, requests: Sequence[Request]) -> list[Video]:
        videos = []
        for request, video in zip(requests, super().batch(requests), strict=True):
            given = video.frames[:1] if request.video is None else np.asarray(request.video)
            still = given[-1:].repeat(len(video.frames) - len(given), axis=0)
            videos.append(Video(np.concatenate([given, still]), 8.0))
        return videos
