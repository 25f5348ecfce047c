"""Ours, beyond the paper: the full method (`ablation_inheritance`), with context tokens as the history of a frame.

In the paper later frames attend to all scales of a past frame. The input of a scale holds coarser scales only, so the
LAST scale's bits of a frame reach the next one through its first scale alone, averaged. Here every frame but the last
is followed by one token for each cell of the whole (flipped) frame, and later frames attend to these instead of its
scales. The question is quality: gFVD, and the held-out accuracy of frames after the first, against
`ablation_inheritance` (gFVD 92.50 in the paper) from the same shards and steps. In a small pilot (0.34 M parameters,
one seed) likelihood and robustness to flipped history were better and greedy roll-outs worse: repeat with `--seed`.

    videoar train ablation_context --data.url shards/ucf101 --processes 8

A clip has 907 tokens instead of 651, so packs are longer and hold the same 16 clips. At this size a step costs 1.4
times as much; at 384x672, where attention costs more, 1.08 times with 9 latent frames and 0.97 times with 17 (4B).

Cost:
    ucf101: 1,000 steps, 116 M tokens, 6.41e+17 FLOPs, 0.45 H200-hours
    at 40% of the peak, H200: 8 in 3.4 min
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import ablation_inheritance
from videoar.pretrain.config import Recipe


def recipe() -> Recipe:
    """Row 4 of Table 4, with context tokens, in packs that hold as many clips."""
    base = ablation_inheritance.recipe()
    stage = replace(base.stages[0], tokens_per_pack=14_592)  # 16 clips of 5 x 130 + 4 x 64 tokens and a label
    return replace(base, name="ablation_context", model=replace(base.model, history="context"), stages=(stage,))
