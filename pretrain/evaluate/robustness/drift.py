"""Drift: held-out clips are continued from their first frames, and the error against the true future is measured.

Each frame is sampled from sampled ones, so errors add up. Many futures are plausible, but only one is true: the figures
of a continuation stand next to those of a still picture and of the tokenizer alone, which do not drift by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.evaluate.continuation import ClipFrames, ContinuationReport, compare, mean, psnr_report, slopes
from videoar.pretrain.evaluate.kept import Row
from videoar.pretrain.evaluate.made_videos.folder import seed_of
from videoar.pretrain.evaluate.robustness.clips import HeldClips, decode_bits
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.background import decoded
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.guidance import parse_guidance
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

VERSION = 2
"""To be raised with every change here that changes a figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftPlan:
    """How clips are continued."""

    given_frames: PixelFrames
    """Pixel frames that are given."""
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    guidance: str | None = None
    """None: the default guidance of the weights."""
    seed: DrawingSeed = 0
    batch: OneOrMore = 8
    """Clips that are continued at once."""


def drift_rows(pipeline: VideoPipeline, held: HeldClips, plan: DriftPlan) -> list[Row]:
    """PSNR by frame of the continuation of each clip and of the baselines, as plain values; they are made at once.

    The true future is that of the pixels; of shards, which hold bits alone, it is what the tokenizer shows of them.
    """
    through = decode_bits(pipeline, held.samples)
    found = compare(continue_bits(pipeline, held.samples, plan), held.frames or through, through, plan.given_frames)
    names = _names(has_pixels=held.frames is not None)
    return [{name: getattr(found, name)[i].tolist() for name in names} for i in range(len(through))]


def drift_report(rows: Sequence[Row], *, has_pixels: bool) -> dict[str, Any]:
    """PSNR by frame of continuations, and its slope in dB per frame, next to baselines; intervals are over clips."""
    psnr = {name: np.array([row[name] for row in rows]) for name in _names(has_pixels=has_pixels)}
    return {"num_clips": len(rows), "psnr_db": psnr_report(psnr), "slope_db_per_frame": _slopes(psnr)}


def _names(*, has_pixels: bool) -> tuple[str, ...]:
    """Names of what is compared with the true future. With shards, that future is the reconstruction itself, which then
    has no error and is left out."""
    return tuple(ContinuationReport.__dataclass_fields__) if has_pixels else ("generated", "repeated")


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


def _slopes(psnr: Mapping[str, Float64[np.ndarray, "n f"]]) -> dict[str, Any]:
    """Least-squares slopes over the generated frames; `beyond_tokenizer` is what generation adds to the tokenizer's."""
    of = {name: slopes(values) for name, values in psnr.items()}
    if "rebuilt" in of:
        of["beyond_tokenizer"] = of["generated"] - of["rebuilt"]
    return {name: mean(values).to_dict() for name, values in of.items()}
