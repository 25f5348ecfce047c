"""How many pairs of query and key the attention of a sample computes."""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Bool

from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.model.attention.layout import Rectangle, Segment, TextAttention
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


def sample_pairs(
    schedule: str,
    num_frames: int,
    num_text: int,
    window: int,
    p_mask: float,
    text_attention: TextAttention,
    history: HistoryKind = "scales",
) -> float:
    """Attended pairs of one sample: each past frame of the window is seen with probability 1 - p_mask."""
    text = range(num_text)
    among_text = Rectangle(text, (text,), causal=text_attention == "causal").pairs
    visual = ScaleSchedule.named(schedule).video_tokens(num_frames, history)
    return among_text + visual * num_text + _visual_pairs(schedule, num_frames, window, p_mask, history)


@functools.lru_cache(maxsize=1024)
def _visual_pairs(schedule: str, num_frames: int, window: int, p_mask: float, history: HistoryKind) -> float:
    """Pairs of visual and context tokens alone."""
    seen = window_mask(num_frames, window)
    whole, alone = (_pairs(schedule, num_frames, visible, history) for visible in (seen, np.zeros_like(seen)))
    visual = ScaleSchedule.named(schedule).video_tokens(num_frames, history)
    return alone - visual - 1 + (1 - p_mask) * (whole - alone)


def _pairs(schedule: str, num_frames: int, visible: Bool[np.ndarray, "t t"], history: HistoryKind) -> int:
    """Pairs of a sample with one text token, the smallest number that a sample has."""
    segment = Segment(ScaleSchedule.named(schedule), num_frames, 1, 0, visible, history)
    return sum(rectangle.pairs for rectangle in segment.rectangles("full"))
