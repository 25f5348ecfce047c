"""Long video: which shots it is made of, and what is untrained about a length or a frame size.

`sliding` is one sequence of latent frames, over which the window of the cache moves: equal to one pass of any length.
`reencode` is the paper's duration extension (VideoAR §5.4): shots of the trained length, each of which begins with the
last decoded frames of the shot before, encoded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.continuation import half_of
from videoar.pretrain.generate.request import LongVideo, Request
from videoar.pretrain.model.pretrained import ClipShape
from videoar.tokenizer.scales import latent_frames, pixel_frames


@dataclass(frozen=True, slots=True)
class Shot:
    """Latent frames that are generated as one sequence."""

    start: int
    """The latent frame of the video at which it begins."""
    num_frames: int
    given: int
    """Number of its first latent frames, which the shot before has shown: they are encoded again and not shown
    twice."""


def plan_shots(request: Request, shape: ClipShape, num_frames: int) -> list[Shot]:
    """The shots of a video of `num_frames` pixel frames; a single one unless it is long and re-encoded."""
    total, longest = latent_frames(num_frames), latent_frames(shape.num_frames)
    if request.long != "reencode" or total <= longest:
        return [Shot(0, total, 0)]
    if longest == 1:
        raise InputError(
            "long", "reencode", f"has no shots: {shape.schedule} was trained on images only", "leave it out"
        )
    overlap = half_of(longest) if request.overlap is None else latent_frames(request.overlap)
    if overlap >= longest:
        most = pixel_frames(longest - 1)
        raise InputError(
            "overlap", request.overlap, f"fills a shot of {shape.num_frames} frames", f"use {most} or less"
        )
    return list(_shots(total, longest, overlap))


def _shots(total: int, longest: int, overlap: int) -> Iterator[Shot]:
    shot = Shot(0, longest, 0)
    yield shot
    while (end := shot.start + shot.num_frames) < total:
        start = end - overlap
        shot = Shot(start, min(longest, total - start), overlap)
        yield shot


def untrained(shape: ClipShape, shapes: Sequence[ClipShape], num_frames: int, long: LongVideo | None) -> str | None:
    """A message about a video that is longer than the training clips of its frame size; None if there is no problem."""
    if num_frames == 1 or num_frames <= shape.num_frames:
        return None
    if shape.num_frames == 1:
        videos = [f"{other.schedule} ({other.num_frames} frames)" for other in shapes if other.num_frames > 1]
        remedy = f"use {' or '.join(videos)}" if videos else "ask for 1 frame: no size was trained on video"
        return f"{num_frames} frames of {shape.schedule}: that size was trained on images only; {remedy}"
    if long is not None:
        return None
    return (
        f"{num_frames} frames of {shape.schedule}: clips of training had at most {shape.num_frames}; the window slides "
        f"on to positions that were not trained. long=reencode makes shots of {shape.num_frames} frames instead; "
        "long=sliding silences this warning"
    )
