"""Random packs: clips, images and text lengths of any mixture, windows, masked frames, and padding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from videoar.pretrain.model.attention.layout import PackLayout, Segment, TextAttention
from videoar.pretrain.model.layers import Attend
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


def random_layout(seed: int, text_attention: TextAttention = "full") -> PackLayout:
    """One to five samples; about a fifth of them are images, about a third of past frames are masked."""
    draw = np.random.default_rng(seed)
    segments: list[Segment] = []
    for _ in range(draw.integers(1, 6)):
        frames = int(draw.integers(1, 6))
        window = int(draw.integers(0, frames + 1))
        seen = np.tril(draw.random((frames, frames)) < 0.7, -1) & ~np.tril(np.ones((frames, frames), bool), -1 - window)
        schedule = ScaleSchedule.named(str(draw.choice(["32x32", "48x48", "64x64"])))
        start = segments[-1].visual.stop if segments else 0
        history: HistoryKind = "context" if draw.random() < 0.3 else "scales"
        segments.append(Segment(schedule, frames, int(draw.integers(1, 8)), start, seen, history))
    return PackLayout(tuple(segments), segments[-1].visual.stop + int(draw.integers(0, 20)), text_attention)


def clip(num_frames: int, window: int, num_text: int = 4, schedule: str = "128x128") -> PackLayout:
    """One clip whose frames see all frames of their window."""
    order = np.arange(num_frames)
    distance = order[:, None] - order
    segment = Segment(ScaleSchedule.named(schedule), num_frames, num_text, 0, (distance > 0) & (distance <= window))
    return PackLayout((segment,), segment.visual.stop)


def inputs(
    layout: PackLayout,
    *,
    rows: int | None = None,
    heads: int = 2,
    width: int = 16,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """Random q (of that many rows), k and v, with gradients."""
    lengths = (layout.length if rows is None else rows, layout.length, layout.length)
    q, k, v = (torch.randn(length, heads, width, dtype=torch.float64).to(device, dtype) for length in lengths)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def results(attend: Attend, q: Tensor, k: Tensor, v: Tensor, upstream: Tensor) -> list[Tensor]:
    """Output and gradients of q, k and v."""
    out = attend(0, q, k, v)
    return [out, *torch.autograd.grad(out, (q, k, v), upstream.to(out))]
