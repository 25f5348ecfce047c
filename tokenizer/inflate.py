"""Puts 2-D weights into a 3-D tokenizer: the image kernel fills the temporally last slice, other slices stay random.

Time is padded with zeros on the left, so only the last slice affects a single frame: on images, the inflated tokenizer
equals the image tokenizer, for any values of the other slices.
(VideoAR §4.1; Yu et al. 2023, MAGVIT-v2, arXiv:2310.05737.)
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short
from videoar.cluster.ground.fields.overrides import differences
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.video_tokenizer import VideoTokenizer

LATENT_LAYERS = ("encoder.conv_out", "decoder.conv_in")
"""The two layers whose weights have another shape with another number of bits."""


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

    A `source` of the same configuration is copied whole: it has been inflated before. With another `latent_dim` than
    the source's, the two layers at the latent stay as they are.
    """
    check_origin(video.config, source.config, "a tokenizer")
    weights, anew = dict(video.named_parameters()), new_layers(video.config, source.config)
    for name, value in source.named_parameters():
        if name.rpartition(".")[0] in anew:
            continue
        target = weights[name]
        (target[:, :, -value.shape[2] :] if target.ndim == 5 else target).copy_(value)


def new_layers(config: TokenizerConfig, origin: TokenizerConfig) -> tuple[str, ...]:
    """Layers of a tokenizer that cannot have the weights of `origin`: it has another number of bits a token."""
    return () if config.latent_dim == origin.latent_dim else LATENT_LAYERS


def check_origin(config: TokenizerConfig, origin: TokenizerConfig, named: str) -> None:
    """InputError, which names the fields that differ, unless a tokenizer can begin with the weights of `origin`."""
    is_image = origin.temporal_kernel == 1
    needed = dataclasses.replace(image_config(config) if is_image else config, latent_dim=origin.latent_dim)
    changed = differences(needed, origin)
    if origin == config or not changed:
        return
    found = ", ".join(f"{field}={short(theirs)} (not {short(ours)})" for field, (ours, theirs) in changed.items())
    except_for = " except for latent_dim" + (", temporal_kernel and temporal_layers" if is_image else "")
    raise InputError("train.inflate_from", named, f"has {found}", f"make both tokenizers equal{except_for}")


def check_same_bits(config: TokenizerConfig, origin: TokenizerConfig, named: str) -> None:
    """InputError unless a tokenizer that keeps the encoder of `origin` keeps its bits.

    Inflating an image tokenizer or changing the number of bits per token changes the bits.
    """
    if config.latent_dim != origin.latent_dim:
        problem = f"cannot keep the bits of {named}: it has {origin.latent_dim} bits per token, not {config.latent_dim}"
        raise InputError("train.parts", "decoder", problem, "use its tokenizer.latent_dim, or train.parts=all")
    if origin != config:
        problem = f"cannot keep the bits of {named}: it is an image tokenizer, which does not encode clips"
        raise InputError("train.parts", "decoder", problem, "begin with a video tokenizer, or use train.parts=all")


def image_config(config: TokenizerConfig) -> TokenizerConfig:
    """The image tokenizer that a video tokenizer equals on one frame."""
    return dataclasses.replace(config, temporal_kernel=1, temporal_layers="all")
