"""The latent frames of a pack's samples, stacked on the device, to flip bits in them and make inputs from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.on_device import latent_arrays, restore, unpack
from videoar.data_pipeline.shards.sample import Sample, StoredLatent
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of one schedule in a pack, sample after sample, each sample's frames in order."""

    bits: Bool[Tensor, "f n k"]
    """The stored bits."""
    latent: Float32[Tensor, "f k h w"] | None
    """F, the latent before quantisation; None if targets are not corrected."""
    is_first: Bool[Tensor, " f"]
    """Whether the frame is the first one of its sample."""

    @staticmethod
    def of(arrays: Mapping[str, Tensor], schedule: ScaleSchedule, bits_per_token: int) -> Frames:
        """Unpack what `frame_arrays` gathered, on the device of these arrays."""
        bits = unpack(arrays["packed"], (schedule.tokens_per_frame, bits_per_token))
        latent = None
        if "latent" in arrays:
            latent = restore(arrays["latent"], bits, schedule, arrays.get("latent_scale"), arrays.get("latent_share"))
        return Frames(bits, latent, arrays["is_first"])


def frame_arrays(samples: Sequence[Sample], *, with_latent: bool) -> dict[str, list[np.ndarray]]:
    """Stored arrays that the device needs of samples of one schedule; the arrays of a list are concatenated there."""
    arrays = {
        "packed": [sample.codes.packed for sample in samples],
        "is_first": [np.arange(sample.entry.num_frames) == 0 for sample in samples],
    }
    return arrays | latent_arrays([_latent(sample) for sample in samples]) if with_latent else arrays


def _latent(sample: Sample) -> StoredLatent:
    if sample.latent is None:
        raise InputError(
            "correction.targets",
            "corrected",
            f"needs the latent, and the shard of {sample.entry.key} holds bits only",
            "prepare the data with data.latent=int8, or set correction.targets=stored or correction.corruption=off",
        )
    return sample.latent
