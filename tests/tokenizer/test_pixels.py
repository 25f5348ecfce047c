"""Bytes to [-1, 1] and back."""

from __future__ import annotations

import torch

from videoar.tokenizer.pixels import from_bytes, to_bytes


def test_every_byte_comes_back() -> None:
    """A step that is off by one in either direction would darken what is generated, or shift what is trained on."""
    frames = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(1, 4, 8, 8, 3)
    video = from_bytes(frames)
    assert torch.equal(video, frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1)
    assert (video.min(), video.max()) == (-1, 1)
    assert torch.equal(to_bytes(video), frames)
    assert to_bytes(torch.full((1, 3, 1, 1, 1), 7.0)).max() == 255, "what is brighter than white is white"
