"""What the demo shows first: videos from sentences, by the weights that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videoar.cluster.demo.report import Row
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.video import save_mp4

SENTENCES = (
    "a large red square moving left",
    "a large blue circle that moves down",
    "a large green triangle going up",
    "a yellow ring moving right on a striped background",
    "a large purple circle quickly moving down and left",
    "a large cyan square moving up and right",
)
"""Sentences in the words of the small world, written for the demo; the first sample of each is shown."""

_ZOOM = 4
"""Videos on the page are enlarged by this factor in each direction."""


def first_videos(pipeline: VideoPipeline, folder: Path, sentences: Sequence[str] = SENTENCES) -> tuple[Row, ...]:
    """A video from each sentence, sampled once with a seed of its own; they are also written to `folder`."""
    requests = [Request(prompt=sentence, seed=seed) for seed, sentence in enumerate(sentences)]
    rows = []
    for number, (sentence, video) in enumerate(zip(sentences, pipeline.batch(requests), strict=True)):
        frames = video.frames.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
        file = save_mp4(frames, folder / f"sentence-{number + 1}.mp4", video.fps)
        rows.append(Row(title=sentence, panels=(), notes=(), video=file.read_bytes()))
    return tuple(rows)
