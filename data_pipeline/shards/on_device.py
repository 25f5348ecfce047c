"""Bits and latents of many samples at once, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from videoar.data_pipeline.shards.sample import PackedBits, StoredLatent
from videoar.tokenizer.residual import accumulate
from videoar.tokenizer.scales import ScaleSchedule


def unpack(codes: Sequence[PackedBits], device: torch.device | str) -> Bool[Tensor, "f n k"]:
    """The bits of all frames of several samples of one schedule, one sample after the other, unpacked on the device."""
    packed, shape = np.concatenate([one.packed for one in codes]), (-1, *codes[0].shape[1:])
    if torch.device(device).type == "cpu":
        return torch.from_numpy(np.unpackbits(packed, bitorder="big").view(np.bool_).reshape(shape))
    return unpack_by_table(torch.from_numpy(packed).to(device)).view(shape)


def unpack_by_table(packed: UInt8[Tensor, " j"]) -> Bool[Tensor, " bits"]:
    """The eight bits of each byte in big bit order, by one gather: for devices that numpy cannot use."""
    return _bits_of_bytes(packed.device).index_select(0, packed.int()).view(torch.bool)


@lru_cache(maxsize=16)
def _bits_of_bytes(device: torch.device) -> Int64[Tensor, "bytes=256"]:
    """For each byte value, its eight bits as eight bytes of 0 or 1, packed into one 64-bit number."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8), bitorder="big")
    return torch.from_numpy(bits.view(np.int64)).to(device)


def restore(
    latents: Sequence[StoredLatent], bits: Bool[Tensor, "f n k"], schedule: ScaleSchedule
) -> Float32[Tensor, "f k h w"]:
    """The latents F of all frames of several samples, one sample after the other, on the device of their bits."""
    values = torch.from_numpy(np.concatenate([latent.values for latent in latents])).to(bits.device).float()
    if all(latent.scale is None for latent in latents):
        return values
    ones = [np.ones((*latent.values.shape[:2], 1, 1), np.float32) for latent in latents]
    scales = [one if latent.scale is None else latent.scale for latent, one in zip(latents, ones, strict=True)]
    added = [one * (latent.scale is not None) for latent, one in zip(latents, ones, strict=True)]
    scale, share = (torch.from_numpy(np.concatenate(part)).to(bits.device) for part in (scales, added))
    return share * accumulate(bits, schedule) + scale * values
