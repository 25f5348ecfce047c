"""Table 4, row 3 (gFVD 93.57): row 2 (94.95: `ablation_rope`) with time-dependent corruption.

    videoar train ablation_corruption --data.url shards/ucf101 --processes 8

Cost:
    ucf101: 1,000 steps, 83.3 M tokens, 4.66e+17 FLOPs, 0.33 H200-hours
    at 40% of the peak, H200: 8 in 2.5 min
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import ablation_rope
from videoar.pretrain.config import Recipe


def recipe() -> Recipe:
    """Row 2, with bits flipped more often in later frames, and self-corrected targets."""
    base = ablation_rope.recipe()
    return replace(base, name="ablation_corruption", correction=replace(base.correction, corruption="time"))
