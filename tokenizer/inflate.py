"""Puts 2-D weights into a 3-D tokenizer: the image kernel fills the temporally last slice, other slices stay random.

Time is padded with zeros on the left, so only the last slice affects a single frame: on images, the inflated tokenizer
equals the image tokenizer, for any values of the other slices.
(VideoAR §4.1; Yu et al. 2023, MAGVIT-v2, arXiv:2310.05737.)
"""

from __future__ import annotations

import dataclasses

import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.video_tokenizer import VideoTokenizer


def inflate(image: VideoTokenizer, *, temporal_kernel: int = 3, seed: int = 0) -> VideoTokenizer:
    """A video tokenizer that equals `image` on one frame; the other temporal slices are random, from the seed."""
    if image.config.temporal_kernel != 1:
        raise InputError(
            "inflate_from",
            f"temporal_kernel {image.config.temporal_kernel}",
            "is a video tokenizer already",
            "inflate an image tokenizer, or continue this one without inflating it",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        video = VideoTokenizer(dataclasses.replace(image.config, temporal_kernel=temporal_kernel))
    fill_last_slices(video, image)
    return video.eval()


@torch.no_grad()
def fill_last_slices(video: VideoTokenizer, image: VideoTokenizer) -> None:
    """Copy every weight of `image` into `video`: kernels into the temporally last slice, the rest as it is."""
    expected = dataclasses.replace(video.config, temporal_kernel=1)
    if image.config != expected:
        raise InputError(
            "inflate_from",
            image.config,
            f"is not the image tokenizer of this configuration, {expected}",
            "make both equal except for temporal_kernel",
        )
    weights = dict(video.named_parameters())
    for name, value in image.named_parameters():
        target = weights[name]
        (target[:, :, -1:] if target.ndim == 5 else target).copy_(value)
