"""The learning rate's fraction of its peak over a run."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, num_steps: int, warmup_steps: int, final_fraction: float) -> float:
    """Fraction of the peak at step 0, 1, ..., num_steps - 1: linear warm-up, then a cosine.

    The last step has exactly `final_fraction`, the first one after the warm-up 1 (if it is not the last).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if step >= num_steps - 1:
        return final_fraction
    # The cosine ends one step later, as it always did: runs of earlier versions resume to the losses that they had.
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (num_steps - warmup_steps)))
    return final_fraction + (1 - final_fraction) * cosine
