from __future__ import annotations

import pytest
import torch

from videoar.tokenizer import VideoTokenizer

from .videos import video


@pytest.mark.parametrize("frame", [0, 1, 4, 5, 16])
def test_encoder_does_not_look_ahead(tiny: VideoTokenizer, frame: int) -> None:
    """Latent i sees pixel frames <= 4i: a changed frame must leave every earlier latent as it was, to the bit."""
    clip = video(17)
    changed = clip.clone()
    changed[:, :, frame] *= -1
    moved = (tiny.encode(changed) != tiny.encode(clip)).flatten(3).any(dim=3).any(dim=1)[0]
    first = -(-frame // 4)
    assert not moved[:first].any()
    assert moved[first]


@pytest.mark.parametrize("frame", [0, 1, 3])
def test_decoder_does_not_look_ahead(tiny: VideoTokenizer, frame: int) -> None:
    """Pixel frames up to 4(i-1) exist before latent i does: it must not change them."""
    latent = torch.randn(1, 16, 5, 2, 3, generator=torch.Generator().manual_seed(0))
    changed = latent.clone()
    changed[:, :, frame] *= -1
    moved = (tiny.decode(changed) != tiny.decode(latent)).flatten(3).any(dim=3).any(dim=1)[0]
    first = 0 if frame == 0 else 4 * frame - 3
    assert not moved[:first].any()
    assert moved[first]


def test_one_frame_is_an_image(tiny: VideoTokenizer) -> None:
    """The first frame of a video is encoded and decoded as the image it would be alone."""
    clip = video(5)
    torch.testing.assert_close(tiny.encode(clip)[:, :, :1], tiny.encode(clip[:, :, :1]), atol=1e-5, rtol=0)
    latent = tiny.encode(clip)
    torch.testing.assert_close(tiny.decode(latent)[:, :, :1], tiny.decode(latent[:, :, :1]), atol=1e-5, rtol=0)
