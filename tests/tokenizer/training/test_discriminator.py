"""The discriminator: PatchGAN's shape, weights from the seed, and scores that do not depend on the batch."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from videoar.tokenizer.training.config import AdversarialConfig
from videoar.tokenizer.training.discriminator import Discriminator, new_discriminator

from ..videos import video

CONFIGS = {kind: AdversarialConfig(weight=0.3, discriminator=kind, channels=8) for kind in ("frame", "video")}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_score_depends_on_its_clip_alone(kind: str) -> None:
    """With a norm over the batch two processes would not equal one, and real clips would score decoded ones."""
    network = new_discriminator(CONFIGS[kind], seed=3)
    clips = video(5, b=3)
    scores = network(clips)
    assert scores.shape == (3, {"frame": 5 * 2 * 4, "video": 1 * 2 * 4}[kind])
    for clip, of_clip in zip(clips, scores, strict=True):
        torch.testing.assert_close(network(clip[None])[0], of_clip, atol=1e-6, rtol=1e-5)


def test_frames_are_scored_one_by_one_or_together() -> None:
    """`frame` sees no motion; `video` does, and takes images too."""
    clips = video(9, 32, 32)
    for kind, config in CONFIGS.items():
        network = new_discriminator(config, seed=3)
        assert torch.isfinite(network(clips[:, :, :1])).all()
        backwards = network(clips.flip(2)).sort().values
        assert torch.allclose(backwards, network(clips).sort().values, atol=1e-6) is (kind == "frame")


def test_it_is_the_release_s_network() -> None:
    """Layers, strides and widths decide how large a patch is judged: 70 pixels."""
    layers = [part for part in Discriminator("frame", 128, 3).layers if isinstance(part, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels, layer.stride[0]) for layer in layers] == [
        (3, 128, 2), (128, 256, 2), (256, 512, 2), (512, 1024, 1), (1024, 1, 1),
    ]  # fmt: skip
    assert {layer.kernel_size for layer in layers} == {(4, 4)}
    sees = 1
    for layer in reversed(layers):
        sees = (sees - 1) * layer.stride[0] + 4
    assert sees == 70


def test_weights_come_from_the_seed() -> None:
    """A resumed or repeated run begins with the same discriminator, and leaves the caller's random numbers alone."""
    config = dataclasses.replace(CONFIGS["frame"], channels=64)
    before = torch.random.get_rng_state()
    first, again, other = (new_discriminator(config, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])
    assert first["layers.2.weight"].std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("size", "frames"), [(32, 5), (32, 9), (32, 1)])
def test_gradients_in_bf16_are_those_of_float32(size: int, frames: int) -> None:
    """With two frames at a layer that pads time itself they were random numbers, and now and then infinite."""
    found = []
    for is_bf16 in (False, True):
        network = new_discriminator(AdversarialConfig(weight=0.3, discriminator="video", channels=16, layers=2), 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            scores = network(torch.rand(2, 3, frames, size, size, generator=torch.Generator().manual_seed(1)))
        scores.float().square().mean().backward()
        found.append([weight.grad for weight in network.parameters() if weight.dim() == 5])
    for exact, rounded in zip(*found, strict=True):
        assert exact is not None
        assert rounded is not None
        assert (rounded - exact).norm() < 0.3 * exact.norm(), "rounding makes a tenth"
