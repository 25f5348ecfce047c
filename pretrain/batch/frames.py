"""The latent frames of a pack's samples, stacked on the device: bits are flipped in them, inputs are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.on_device import restore, unpack
from videoar.data_pipeline.shards.sample import Sample, StoredLatent
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of one schedule in a pack: those of a sample in order, sample after sample."""

    bits: Bool[Tensor, "f n k"]
    """The stored bits."""
    latent: Float32[Tensor, "f k h w"] | None
    """F, the latent before quantisation; None if targets are not corrected."""
    sample_id: Int64[Tensor, " f"]
    frame: Int64[Tensor, " f"]
    """Index of the frame in its sample, from 0."""

    @staticmethod
    def of(
        samples: Sequence[Sample], schedule: ScaleSchedule, *, with_latent: bool, device: torch.device | str
    ) -> Frames:
        """The frames of the samples that have this schedule, on the device."""
        chosen = [sample for sample in samples if sample.entry.schedule == schedule.name]
        counts = [sample.entry.num_frames for sample in chosen]
        bits = unpack([sample.codes for sample in chosen], device)
        latent = restore([_latent(sample) for sample in chosen], bits, schedule) if with_latent else None
        return Frames(
            bits=bits,
            latent=latent,
            sample_id=to_device(np.repeat([sample.entry.sample_id for sample in chosen], counts), device),
            frame=to_device(np.concatenate([np.arange(count) for count in counts]), device),
        )


def to_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """A tensor of the array's values on the device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def _latent(sample: Sample) -> StoredLatent:
    if sample.latent is None:
        raise InputError(
            "correction.targets",
            "corrected",
            f"needs the latent, and the shard of {sample.entry.key} holds bits only",
            "prepare the data with data.latent=int8, or set correction.targets=stored or correction.corruption=off",
        )
    return sample.latent
