"""The arms of the paper's ablations (Tables 4 and 5) from one base recipe, and what was predicted of each.

The directions were written down before any of these studies ran.
"""

from __future__ import annotations

from dataclasses import replace

from videoar.pretrain.config import CorrectionConfig, Recipe
from videoar.pretrain.study.definition import Arm, Contrast, Prediction

P_MASK = 0.1
"""Probability that the frame mask hides a past frame in training."""

ROPE_FVD, TIME_FVD = "gFVD 96.04 → 94.95 (Table 4)", "gFVD 94.95 → 93.57 (Table 4)"


def rises(*metrics: str) -> tuple[Prediction, ...]:
    """Predictions that these metrics rise."""
    return tuple(Prediction(metric=metric, direction="rises") for metric in metrics)


def falls(*metrics: str) -> tuple[Prediction, ...]:
    """Predictions that these metrics fall."""
    return tuple(Prediction(metric=metric, direction="falls") for metric in metrics)


CONTRASTS = (
    Contrast(arm="rope", over="learned", predictions=rises("clean", "twice", "fourfold"), paper=ROPE_FVD),
    Contrast(arm="constant", over="rope", predictions=falls("drop", "clean", "position")),
    Contrast(arm="time", over="constant", predictions=falls("drop", "position") + rises("slope")),
    Contrast(arm="time", over="rope", predictions=falls("drop", "position") + rises("slope"), paper=TIME_FVD),
    Contrast(
        arm="inheritance", over="time", predictions=rises("inherited", "slope"), paper="gFVD 93.57 → 92.50 (Table 4)"
    ),
    Contrast(
        arm="mask",
        over="inheritance",
        predictions=rises("hidden", "motion"),
        paper="VBench 76.22 → 77.00; quality 78.63 → 79.78, semantic 66.64 → 65.89 (Table 5)",
    ),
    Contrast(arm="context", over="inheritance", predictions=rises("clean") + falls("drop")),
)


def arms(base: Recipe, *, context_tokens_per_pack: int) -> tuple[Arm, ...]:
    """Each arm adds one component to the arm before it; `context` adds to `inheritance`, like `mask`.

    A clip is longer with context tokens, so that arm has its own length of packs, which hold about as many clips.
    """
    off = CorrectionConfig(corruption="off", inheritance=False)
    learned = replace(base, model=replace(base.model, rope="learned"), correction=off)
    rope = replace(learned, model=base.model)
    constant = replace(rope, correction=replace(base.correction, corruption="constant", inheritance=False))
    time = replace(constant, correction=replace(constant.correction, corruption="time"))
    inheritance = replace(time, correction=replace(time.correction, inheritance=True))
    (stage,) = inheritance.stages
    mask = replace(inheritance, stages=(replace(stage, p_mask=P_MASK),))
    context = replace(
        inheritance,
        model=replace(base.model, history="context"),
        stages=(replace(stage, tokens_per_pack=context_tokens_per_pack),),
    )
    return (
        Arm(name="learned", adds="learned positions, no flips (the baseline)", recipe=learned),
        Arm(name="rope", adds="Multi-scale Temporal RoPE", recipe=rope),
        Arm(name="constant", adds="flips at a constant rate", recipe=constant),
        Arm(name="time", adds="flips more often in later frames", recipe=time),
        Arm(name="inheritance", adds="error inheritance", recipe=inheritance),
        Arm(name="mask", adds="Random Frame Mask", recipe=mask),
        Arm(name="context", adds="context tokens as history (ours)", recipe=context),
    )
