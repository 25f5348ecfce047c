"""Places in a parameter: which elements two of them share."""

from __future__ import annotations

import torch

from videoar.pretrain.checkpoint.fragment import Cut, copy_overlap

from .fragments import fragment


def test_overlap_counts_each_element_once() -> None:
    """The count is how a parameter with a hole is detected."""
    source, target = fragment(Cut(1, 0, 2), 0, 48), fragment(None, 10, 30)
    out = torch.zeros(30)
    count = copy_overlap(source.place, source.states["master"], target.place, out)
    inside = [index for index in range(10, 40) if index % 12 < 6]
    assert count == len(inside)
    assert out.nonzero().flatten().add(10).tolist() == inside
