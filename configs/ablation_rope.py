"""Table 4, row 2 (gFVD 94.95): the baseline (row 1, 96.04: `ablation_baseline`) with Multi-scale Temporal RoPE.

    videoar train ablation_rope --data.url shards/ucf101 --processes 8

Cost:
    ucf101: 1,000 steps, 83.3 M tokens, 4.66e+17 FLOPs, 0.33 H200-hours
    at 40% of the peak, H200: 8 in 2.5 min
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import ablation_baseline
from videoar.pretrain.config import Recipe


def recipe() -> Recipe:
    """Row 1, with rotary positions instead of learned ones."""
    base = ablation_baseline.recipe()
    return replace(base, name="ablation_rope", model=replace(base.model, rope="centre"))
