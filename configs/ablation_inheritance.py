"""Table 4, row 4 (gFVD 92.50): row 3 (93.57: `ablation_corruption`) with error inheritance: the full method.

    videoar train ablation_inheritance --data.url shards/ucf101 --processes 8

Cost:
    ucf101: 1,000 steps, 83.3 M tokens, 4.66e+17 FLOPs, 0.33 H200-hours
    at 40% of the peak, H200: 8 in 2.5 min
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import ablation_corruption
from videoar.pretrain.config import Recipe


def recipe() -> Recipe:
    """Row 3, with the first scale of a frame flipped at least as often as the last scale of the previous frame."""
    base = ablation_corruption.recipe()
    return replace(base, name="ablation_inheritance", correction=replace(base.correction, inheritance=True))
