"""Table 5, row 2 (VBench 77.00; quality 79.78, semantic 65.89): VideoAR-L with Random Frame Mask, in stage I.

Stage I is that of `t2v_4b`. Row 1 (76.22; 78.63, 66.64) is the same without the mask:

    videoar train ablation_frame_mask --data.url URL --processes 8
    videoar train ablation_frame_mask --data.url URL --processes 8 --stages.I.p-mask 0 --run runs/ablation_no_frame_mask

Images at 256x256 and clips at 192x336, the sizes of the paper's "256px training stage". The paper names no number of
steps here; we take the 1,000 of its other ablations, which will not reach its scores from scratch:
`--stages.I.steps 50000` is the whole stage. The semantic score falls while the total rises in the paper's table, too.

Cost:
    I: 1,000 steps, 12.1 G tokens, 7.49e+19 FLOPs, 53 H200-hours
    at 40% of the peak, H200: 8 in 6.6 h
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import t2v_4b
from videoar.configs.sizes import L
from videoar.pretrain.config import Recipe

STEPS = 1000
HELD_OUT = "held192"


def recipe() -> Recipe:
    """Stage I alone, at size L, for 1,000 steps."""
    base = t2v_4b.recipe()
    stage = replace(base.stages[0], steps=STEPS)
    used = {part.dataset for part in stage.mixture} | {HELD_OUT}
    return replace(
        base,
        name="ablation_frame_mask",
        model=replace(L, text=base.model.text),
        data=replace(base.data, datasets=tuple(dataset for dataset in base.data.datasets if dataset.name in used)),
        stages=(stage,),
        optimizer=replace(base.optimizer, warmup_steps=100),
        log=replace(base.log, save_every=STEPS, validate_every=250, validation=(HELD_OUT,)),
    )
