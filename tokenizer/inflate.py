"""Puts 2-D weights into a 3-D tokenizer: the image kernel fills the temporally last slice, other slices stay random.

Time is padded with zeros on the left, so only the last slice affects a single frame: on images, the inflated tokenizer
equals the image tokenizer, for any values of the other slices.
(VideoAR §4.1; Yu et al. 2023, MAGVIT-v2, arXiv:2310.05737.)
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch

from videoar.cluster.ground.checks import short
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.overrides import differences
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.video_tokenizer import VideoTokenizer


def inflate(
    image: VideoTokenizer,
    *,
    temporal_kernel: int = 3,
    temporal_layers: Literal["all", "resampling"] = "all",
    seed: int = 0,
) -> VideoTokenizer:
    """A video tokenizer that equals `image` on one frame; the other temporal slices are random, from the seed."""
    if image.config.temporal_kernel != 1:
        raise InputError(
            "inflate_from",
            f"temporal_kernel {image.config.temporal_kernel}",
            "is a video tokenizer already",
            "inflate an image tokenizer, or continue this one without inflating it",
        )
    config = dataclasses.replace(image.config, temporal_kernel=temporal_kernel, temporal_layers=temporal_layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        video = VideoTokenizer(config)
    fill_last_slices(video, image)
    return video.eval()


@torch.no_grad()
def fill_last_slices(video: VideoTokenizer, source: VideoTokenizer) -> None:
    """Copy every weight of an image tokenizer into `video`: kernels into the temporally last slice, the rest as it is.

    A `source` of the same configuration is copied whole: it has been inflated before.
    """
    check_origin(video.config, source.config, "a tokenizer")
    weights = dict(video.named_parameters())
    for name, value in source.named_parameters():
        target = weights[name]
        (target[:, :, -value.shape[2] :] if target.ndim == 5 else target).copy_(value)


def check_origin(config: TokenizerConfig, origin: TokenizerConfig, named: str) -> None:
    """InputError, which names the fields that differ, unless a tokenizer can begin with the weights of `origin`."""
    is_image = origin.temporal_kernel == 1
    changed = differences(image_config(config) if is_image else config, origin)
    if origin == config or not changed:
        return
    found = ", ".join(f"{field}={short(theirs)} (not {short(ours)})" for field, (ours, theirs) in changed.items())
    except_for = " except for temporal_kernel and temporal_layers" if is_image else ""
    raise InputError("train.inflate_from", named, f"has {found}", f"make both tokenizers equal{except_for}")


def check_same_bits(config: TokenizerConfig, origin: TokenizerConfig, named: str) -> None:
    """InputError unless a tokenizer that keeps the encoder of `origin` keeps its bits: an inflated one has others."""
    if origin != config:
        problem = f"cannot keep the bits of {named}: clips are none of an image tokenizer"
        raise InputError("train.parts", "decoder", problem, "begin with a video tokenizer, or use train.parts=all")


def image_config(config: TokenizerConfig) -> TokenizerConfig:
    """The image tokenizer that a video tokenizer equals on one frame."""
    return dataclasses.replace(config, temporal_kernel=1, temporal_layers="all")
