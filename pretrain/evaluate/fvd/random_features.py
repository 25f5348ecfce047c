"""`rf-fvd`: the Fréchet distance on features that need no trained weights. It is not FVD.

A clip's features are the mean and the deviation of each channel in a small random 3-D convolutional network, and
statistics of differences in space and time at several scales. They follow blur, noise, frozen and shuffled frames, and
know nothing of what a clip shows: good for trends of one setting and for tests, incomparable with any published number.

The weights are a function of nothing: raw 64-bit words of PCG64 (numpy guarantees the stream) with seed 0, of which the
upper 53 bits are a fraction u in [0, 1); a weight is (2u - 1) sqrt(6 / fan-in) in float64, rounded to float32. Layers
are drawn in order, each (out, in, 3, 3, 3) in row-major order. Only exact or correctly rounded operations are used, so
every machine has the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float32, Float64
from torch import Tensor

from videoar.pretrain.evaluate.fvd.detector import UNCHANGED, ClipFeatures, Clips, Detector

CHANNELS = (3, 8, 12, 16)
"""Of the input and of each layer's output."""
STRIDES = ((1, 2, 2), (2, 2, 2), (1, 2, 2))
SCALES = (1, 2, 4)
"""Factors by which frames are reduced before differences are taken."""
FLOOR = 0.01
"""A statistic x, never negative, is compared as log(FLOOR + x): channels and differences of all sizes count alike."""


class RandomFeatures(Detector):
    """Features of a frozen random network and of differences; their distance is called `rf-fvd`."""

    name = "rf-fvd"
    resize = UNCHANGED
    min_frames = 3
    min_side = 16
    num_features = 2 * sum(CHANNELS[1:]) + 8 * len(SCALES)

    def __init__(self, device: torch.device | str = "cpu") -> None:
        drawn = draw_weights()
        self.sha256 = hashlib.sha256(b"".join(weight.tobytes() for weight in drawn)).hexdigest()
        self._weights = [torch.from_numpy(weight).to(device) for weight in drawn]
        self._device = torch.device(device)

    @torch.inference_mode()
    def features(self, clips: Clips) -> ClipFeatures:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            pixels = torch.from_numpy(np.ascontiguousarray(clips)).to(self._device)
            video = rearrange(pixels, "b f h w c -> b c f h w").float() / 127.5 - 1
            statistics = torch.cat([network_statistics(video, self._weights), difference_statistics(video)], 1)
            return torch.log(FLOOR + statistics).cpu().numpy()


def draw_weights() -> list[Float32[np.ndarray, "_ _ 3 3 3"]]:
    """The kernels of the network, the same everywhere and for ever; variance 2 / fan-in keeps activations' size."""
    generator = np.random.PCG64(0)
    weights = []
    for inputs, outputs in pairwise(CHANNELS):
        shape = (outputs, inputs, 3, 3, 3)
        fractions = (generator.random_raw(math.prod(shape)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        weights.append(((2 * fractions - 1) * math.sqrt(6 / (27 * inputs))).reshape(shape).astype(np.float32))
    return weights


def network_statistics(
    video: Float32[Tensor, "b 3 f h w"], weights: list[Float32[Tensor, "_ _ 3 3 3"]]
) -> Float64[Tensor, "b d"]:
    """Mean and standard deviation over all places of each channel of each layer, after its ReLU."""
    found = []
    for weight, stride in zip(weights, STRIDES, strict=True):
        video = F.relu(F.conv3d(video, weight, stride=stride, padding=1))
        places = video.double().flatten(2)
        found += [places.mean(2), places.std(2, correction=0)]
    return torch.cat(found, 1)


def difference_statistics(video: Float32[Tensor, "b 3 f h w"]) -> Float64[Tensor, "b d"]:
    """Mean and root mean square of differences of the luminance: down, right, in time, and of the second order in time.

    At each scale, frames are reduced by averages over squares of pixels.
    """
    weights = torch.tensor([0.299, 0.587, 0.114], device=video.device)
    luminance = torch.einsum("bcfhw,c->bfhw", video, weights)
    found = []
    for scale in SCALES:
        frames = F.avg_pool2d(luminance, scale).double()
        for change in (frames.diff(dim=2), frames.diff(dim=3), frames.diff(dim=1), frames.diff(n=2, dim=1)):
            changes = change.flatten(1)
            found += [changes.abs().mean(1), changes.square().mean(1).sqrt()]
    return torch.stack(found, 1)
