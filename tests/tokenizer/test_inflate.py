"""A 2-D tokenizer inside a 3-D one."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.inflate import fill_last_slices, inflate
from videoar.tokenizer.presets import PRESETS
from videoar.tokenizer.video_tokenizer import VideoTokenizer


@pytest.fixture(scope="module")
def image_tokenizer() -> VideoTokenizer:
    torch.manual_seed(0)
    return VideoTokenizer(dataclasses.replace(PRESETS["tiny"], temporal_kernel=1)).eval()


@pytest.mark.parametrize("layers", ["all", "resampling"])
def test_inflated_tokenizer_is_the_image_tokenizer_on_images(
    image_tokenizer: VideoTokenizer, layers: Literal["all", "resampling"]
) -> None:
    """The other temporal slices may hold any values: they must meet zeros only, in every layer, both ways."""
    video_tokenizer = inflate(image_tokenizer, temporal_layers=layers, seed=1)
    image = torch.rand(2, 3, 1, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    latent = image_tokenizer.encode(image)
    torch.testing.assert_close(video_tokenizer.encode(image), latent, atol=1e-6, rtol=0)
    torch.testing.assert_close(video_tokenizer.decode(latent), image_tokenizer.decode(latent), atol=1e-6, rtol=0)


@pytest.mark.parametrize("layers", ["all", "resampling"])
def test_other_slices_meet_zeros_in_the_general_convolution_too(
    image_tokenizer: VideoTokenizer, layers: Literal["all", "resampling"]
) -> None:
    """The shortcut for one frame must be an economy, not the reason: frame 0 of a longer clip is the image as well."""
    video_tokenizer = inflate(image_tokenizer, temporal_layers=layers, seed=5)
    clip = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    latent = image_tokenizer.encode(clip[:, :, :1])
    torch.testing.assert_close(video_tokenizer.encode(clip)[:, :, :1], latent, atol=1e-5, rtol=0)
    later = torch.cat([latent, torch.randn_like(latent)], dim=2)
    torch.testing.assert_close(
        video_tokenizer.decode(later)[:, :, :1], image_tokenizer.decode(latent), atol=1e-5, rtol=0
    )


def test_what_is_inflated_already_is_copied_whole(image_tokenizer: VideoTokenizer) -> None:
    """A recipe may start from the video tokenizer that `tokenizer import` writes: its other slices are kept, too."""
    inflated = inflate(image_tokenizer, seed=5)
    started = VideoTokenizer(inflated.config)
    fill_last_slices(started, inflated)
    assert started.hash == inflated.hash


def test_another_number_of_bits_keeps_all_but_the_two_layers_at_the_latent(image_tokenizer: VideoTokenizer) -> None:
    """A tokenizer of more bits goes on from one that has learned; its own random layers are those of its seed."""
    inflated = inflate(image_tokenizer, seed=5)
    more = VideoTokenizer(dataclasses.replace(inflated.config, latent_dim=64))
    before = {name: value.clone() for name, value in more.named_parameters()}
    fill_last_slices(more, inflated)
    source = dict(inflated.named_parameters())
    kept = {name for name, value in more.named_parameters() if torch.equal(value, before[name])}
    assert {name.rpartition(".")[0] for name in kept} >= {"encoder.conv_out", "decoder.conv_in"}
    others = [name for name in source if name.rpartition(".")[0] not in {"encoder.conv_out", "decoder.conv_in"}]
    assert all(torch.equal(dict(more.named_parameters())[name], source[name]) for name in others)


def test_only_matching_configurations_are_inflated(image_tokenizer: VideoTokenizer) -> None:
    """Weights of another width cannot be copied, and a video tokenizer has nothing to be inflated."""
    with pytest.raises(InputError, match="video tokenizer already"):
        inflate(inflate(image_tokenizer))
    wider = dataclasses.replace(PRESETS["tiny"], base_channels=2 * PRESETS["tiny"].base_channels)
    with pytest.raises(
        InputError, match=r"has base_channels=\d+ \(not \d+\); .* except for latent_dim, temporal_kernel"
    ):
        fill_last_slices(VideoTokenizer(wider), image_tokenizer)
    with pytest.raises(InputError, match=r"\(not resampling\); make both tokenizers equal except for latent_dim$"):
        fill_last_slices(inflate(image_tokenizer, temporal_layers="resampling"), inflate(image_tokenizer))


def test_image_tokenizer_refuses_a_clip(image_tokenizer: VideoTokenizer) -> None:
    """Without temporal weights a clip would be encoded frame by frame in silence, at a quarter of the compression."""
    with pytest.raises(InputError, match="image tokenizer"):
        image_tokenizer.encode(torch.zeros(1, 3, 5, 32, 32))
