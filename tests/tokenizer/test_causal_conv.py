from __future__ import annotations

import pytest
import torch

from videoar.tokenizer.causal_conv import CausalConv3d, Downsample, FrameGroupNorm, Memory, Upsample


def frames(count: int, channels: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, channels, count, 6, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "layer",
    [CausalConv3d(4, 4, time=3, side=3), Downsample(4, time=3, time_stride=2), Upsample(4, time=3, time_stride=2)],
    ids=["conv", "down", "up"],
)
def test_a_stream_equals_the_whole(layer: torch.nn.Module) -> None:
    """A layer that forgets or repeats a frame between two chunks shows a seam in every long video."""
    clip, memory = frames(9), Memory()
    with torch.no_grad():
        streamed = torch.cat([layer(chunk, memory) for chunk in clip.split([1, 4, 4], dim=2)], dim=2)
        torch.testing.assert_close(streamed, layer(clip), atol=1e-5, rtol=0)


def test_frames_in_time_are_halved_and_doubled_around_the_first() -> None:
    """1 + 2n frames become 1 + n and come back: otherwise 1 + 4n pixel frames are not 1 + n latents."""
    with torch.no_grad():
        down = Downsample(4, time=3, time_stride=2)(frames(9))
        up = Upsample(4, time=3, time_stride=2)(down)
    assert down.shape == (1, 4, 5, 3, 4)
    assert up.shape == (1, 4, 9, 6, 8)


def test_a_single_frame_meets_the_last_slice_alone() -> None:
    """The short cut for images must be the general convolution: what other slices hold does not matter."""
    layer = CausalConv3d(4, 5, time=3, side=3)
    with torch.no_grad():
        image = layer(frames(1))
        torch.testing.assert_close(
            image, layer(frames(3).index_copy(2, torch.tensor([0]), frames(1)))[:, :, :1], atol=1e-5, rtol=0
        )
        layer.weight[:, :, :-1] = 99.0
        assert torch.equal(layer(frames(1)), image)


@pytest.mark.parametrize("layer", [CausalConv3d(4, 5, time=3, side=3), Downsample(4, time=3, time_stride=2)])
def test_one_clip_is_convolved_as_clips_of_a_batch_are(layer: torch.nn.Module) -> None:
    """On a CPU a single clip takes a kernel of its own: outputs and gradients must be those of the general one."""
    found = []
    for copies in (1, 2):
        clip = frames(5).repeat(copies, 1, 1, 1, 1).requires_grad_()
        output = layer(clip)[:1]
        output.square().sum().backward()
        gradients = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
        layer.zero_grad()
        assert clip.grad is not None
        found.append([output.detach(), clip.grad[:1], *gradients])
    assert len(found[0]) == 4
    for single, general in zip(*found, strict=True):
        torch.testing.assert_close(single, general, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_clip_under_autocast(dtype: torch.dtype) -> None:
    """A kernel that is named by hand does not cast its inputs, and would refuse weights of another type."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert CausalConv3d(4, 5, time=3, side=3)(frames(5).to(dtype)).dtype == torch.bfloat16


def test_normalisation_does_not_mix_frames() -> None:
    """Statistics over time would let the last frame change the first one."""
    norm = FrameGroupNorm(2, 4)
    clip = frames(3)
    changed = clip.clone()
    changed[:, :, 2] *= 7
    assert torch.equal(norm(clip)[:, :, :2], norm(changed)[:, :, :2])
