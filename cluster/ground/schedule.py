"""The learning rate's fraction of its peak over a run."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, num_steps: int, warmup_steps: int, final_fraction: float) -> float:
    """Fraction of the peak at step 0, 1, ..., num_steps - 1: linear warm-up, then a cosine.

    The last step has exactly `final_fraction`, the first one after the warm-up 1 (if it is not the last).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    after = num_steps - 1 - warmup_steps
    progress = min(1.0, (step - warmup_steps) / after) if after > 0 else 1.0
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return final_fraction + (1 - final_fraction) * cosine
