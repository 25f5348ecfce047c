"""Bits and latents of many samples at once, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, Shaped, UInt8
from torch import Tensor

from videoar.data_pipeline.shards.sample import StoredLatent
from videoar.tokenizer.residual import accumulate
from videoar.tokenizer.scales import ScaleSchedule


def unpack(packed: UInt8[Tensor, " j"], shape: tuple[int, int]) -> Bool[Tensor, "f n k"]:
    """The bits of consecutive frames of `PackedBits`, on their device; `shape` is the shape of one frame."""
    if packed.device.type == "cpu":
        return torch.from_numpy(np.unpackbits(packed.numpy(), bitorder="big").view(np.bool_)).view(-1, *shape)
    return unpack_by_table(packed).view(-1, *shape)


def unpack_by_table(packed: UInt8[Tensor, " j"]) -> Bool[Tensor, " bits"]:
    """The eight bits of each byte in big bit order, by one gather: for devices that numpy cannot use."""
    return _bits_of_bytes(packed.device).index_select(0, packed.int()).view(torch.bool)


@lru_cache(maxsize=16)
def _bits_of_bytes(device: torch.device) -> Int64[Tensor, "bytes=256"]:
    """For each byte value, its eight bits as eight bytes of 0 or 1, packed into one 64-bit number."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8), bitorder="big")
    return torch.from_numpy(bits.view(np.int64)).to(device)


def latent_arrays(latents: Sequence[StoredLatent]) -> dict[str, list[np.ndarray]]:
    """The arguments of `restore` for the frames of several samples; the arrays of a list follow each other."""
    arrays = {"latent": [latent.values for latent in latents]}
    if all(latent.scale is None for latent in latents):
        return arrays
    ones = [np.ones((*latent.values.shape[:2], 1, 1), np.float32) for latent in latents]
    pairs = list(zip(latents, ones, strict=True))
    arrays["latent_scale"] = [one if latent.scale is None else latent.scale for latent, one in pairs]
    if any(latent.scale is None for latent in latents):
        arrays["latent_share"] = [one * (latent.scale is not None) for latent, one in pairs]
    return arrays


def restore(
    values: Shaped[Tensor, "f k h w"],
    bits: Bool[Tensor, "f n k"],
    schedule: ScaleSchedule,
    scale: Float32[Tensor, "f k 1 1"] | None = None,
    share: Float32[Tensor, "f k 1 1"] | None = None,
) -> Float32[Tensor, "f k h w"]:
    """The latents F of all frames, on the device of their bits: share * F^ + scale * values.

    The share of F^, the sum of the bits, is 1, but 0 for samples without a scale; without any scale F is `values`.
    """
    if scale is None:
        return values.float()
    quantised = accumulate(bits, schedule)
    return (quantised if share is None else share * quantised) + scale * values.float()
