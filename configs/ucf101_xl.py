"""VideoAR-XL on UCF-101, class-conditional: `ucf101_l` with 32 layers x 2048 and 16 heads (VideoAR, Table 3).

Should reach: gFVD 88.6 (the paper's; protocol not named there).
Everything else, including data, is as in `ucf101_l`: both use the same shards. Activations are recomputed (the paper:
gradient checkpointing), so that it fits devices of 80 GB.

    videoar train ucf101_xl --data.url shards/ucf101 --processes 8

Cost:
    ucf101: 150,000 steps, 12.5 G tokens, 1.64e+20 FLOPs, 115 H200-hours
    at 40% of the peak, H200: 8 in 14.4 h
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs.sizes import XL
from videoar.configs.ucf101_l import ucf101
from videoar.pretrain.config import Recipe


def recipe() -> Recipe:
    """One stage of 150,000 steps of 128 clips."""
    base = ucf101("ucf101_xl", XL)
    return replace(base, parallel=replace(base.parallel, recompute="selective"))
