"""The ring of cached frames."""

from __future__ import annotations

import torch

from videoar.pretrain.generate.cache import FrameCache
from videoar.tokenizer.scales import ScaleSchedule

SCHEDULE = ScaleSchedule.named("32x32")


def cache(num_frames: int, window: int) -> FrameCache:
    return FrameCache(SCHEDULE, (2,), num_layers=1, num_heads=1, head_dim=4, num_frames=num_frames, window=window)


def test_memory_is_that_of_the_window() -> None:
    """A cache that grows with the video ends a long one."""
    assert cache(100, 3).size_bytes == cache(1000, 3).size_bytes > cache(2, 3).size_bytes


def test_a_frame_leaves_after_the_window() -> None:
    """A frame that leaves early is forgotten; one that stays is seen for too long."""
    ring, tokens = cache(10, 2), SCHEDULE.tokens_per_frame
    for frame in range(4):
        x = torch.full((tokens, 1, 4), float(frame + 1))
        ring.frame_attend()(0, x, x, x)
        ring.advance()
        kept = ring.keys[0, 0, 0, : ring.ring_slots * tokens, 0].unique().tolist()
        assert [value for value in kept if value] == [float(one) for one in range(max(1, frame), frame + 2)]
