"""Drift: held-out clips are continued from their first frames, and the error against the true future is followed.

Each frame is sampled from sampled ones, so errors add up. There are many plausible futures and one is true: the figures
of a continuation stand next to those of a still picture and of the tokenizer alone, which do not drift by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.evaluate.continuation import ClipFrames, ContinuationReport, compare, mean, slopes
from videoar.pretrain.evaluate.made_videos.folder import seed_of
from videoar.pretrain.evaluate.robustness.clips import HeldClips, decode_bits
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.background import decoded
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.guidance import parse_guidance
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

VERSION = 1
"""Raised whenever a change here changes a figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftPlan:
    """How clips are continued."""

    given_frames: PixelFrames
    """Pixel frames that are given."""
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    guidance: str | None = None
    """None: that of the weights."""
    seed: DrawingSeed = 0
    batch: OneOrMore = 8
    """Clips that are continued at once."""


def drift(
    pipeline: VideoPipeline,
    held: HeldClips,
    plan: DriftPlan,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """PSNR by frame of continuations, and its slope in dB per frame, next to baselines; intervals are over clips.

    The true future is that of the pixels; of shards, which hold bits alone, it is what the tokenizer shows of them.
    `tell` hears how many clips are continued, and of how many.
    """
    through = decode_bits(pipeline, held.samples)
    made: list[ClipFrames] = []
    for start in range(0, len(held.samples), plan.batch):
        made += continue_bits(pipeline, held.samples[start : start + plan.batch], plan)
        tell(len(made), len(held.samples))
    found = compare(made, held.frames or through, through, plan.given_frames)
    names = ("generated", "repeated") if held.frames is None else tuple(ContinuationReport.__dataclass_fields__)
    psnr = {name: value for name, value in found.to_dict().items() if name.removeprefix("gain_over_") in names}
    return {"num_clips": len(made), "psnr_db": psnr, "slope_db_per_frame": _slopes(found, names)}


@torch.inference_mode()
def continue_bits(pipeline: VideoPipeline, samples: Sequence[Sample], plan: DriftPlan) -> list[ClipFrames]:
    """Continue the first bits of each clip to its full length; the result starts with the given frames.

    A clip's random numbers follow from its key and the plan's seed.
    """
    frames, given = samples[0].entry.num_frames, latent_frames(plan.given_frames)
    if given >= frames:
        problem = f"leaves nothing to generate of {frames} latent frames"
        raise InputError("given_frames", plan.given_frames, problem, "give fewer, or longer clips")
    ramp = parse_guidance(plan.guidance or pipeline.config.default_guidance(continued=True))
    latents = sample_frames(
        pipeline.model,
        ScaleSchedule.named(samples[0].entry.schedule),
        [sample.text for sample in samples],
        Sampling(guidance=ramp, temperature=plan.temperature, top_p=plan.top_p),
        num_frames=frames,
        window=pipeline.config.window,
        seeds=[seed_of(plan.seed, sample.entry.key) for sample in samples],
        history=_first_bits(pipeline, samples, given),
    )
    return list(np.concatenate(list(decoded(pipeline.tokenizer, (one.latent for one in latents))), axis=1))


def _first_bits(pipeline: VideoPipeline, samples: Sequence[Sample], given: int) -> Bool[Tensor, "b t tokens k"]:
    bits = np.stack([sample.bits[:given] for sample in samples])
    return torch.from_numpy(bits).to(pipeline.model.input.weight.device)


def _slopes(found: ContinuationReport, names: Sequence[str]) -> dict[str, Any]:
    """Least-squares slopes over the generated frames; `beyond_tokenizer` is what generation adds to the tokenizer's."""
    of = {name: slopes(getattr(found, name)) for name in names}
    if "rebuilt" in of:
        of["beyond_tokenizer"] = of["generated"] - of["rebuilt"]
    return {name: mean(values).to_dict() for name, values in of.items()}
