"""Decoding in a thread: the frames of the decoder, in order, and an end that waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate import background
from videoar.pretrain.generate.background import AHEAD, decoded
from videoar.pretrain.generate.video import to_frames
from videoar.tokenizer import VideoTokenizer

TOKENIZER = VideoTokenizer.preset("tiny", 16)


def latents(count: int, taken: list[int] | None = None) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield torch.randn(2, 16, 2, 2, generator=generator)


def test_frames_are_those_of_the_decoder() -> None:
    """A lost order, or a decoder that forgets the frames before, would show."""
    found = list(decoded(TOKENIZER, latents(4)))
    assert [chunk.shape[1] for chunk in found] == [1, 4, 4, 4]
    straight = TOKENIZER.decode_stream(latent[:, :, None] for latent in latents(4))
    assert np.array_equal(np.concatenate(found, axis=1), np.concatenate([to_frames(one) for one in straight], axis=1))


def test_generation_goes_on_while_a_frame_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next latents are made while the first is still being decoded, but only so many."""
    taken: list[int] = []
    ahead = threading.Event()

    def wait(*frames: Tensor) -> np.ndarray:
        assert ahead.wait(60), "nothing was generated meanwhile"
        return to_frames(*frames)

    def counted() -> Iterator[Tensor]:
        for latent in latents(8, taken):
            if len(taken) > AHEAD:
                ahead.set()
            yield latent

    monkeypatch.setattr(background, "to_frames", wait)
    stream = decoded(TOKENIZER, counted())
    next(stream)
    assert AHEAD < len(taken) <= AHEAD + 1
    stream.close()
    assert all(thread.name != "decode_0" for thread in threading.enumerate())


def test_an_error_of_the_decoder_reaches_the_caller() -> None:
    """Swallowed in its thread, it would leave a video that ends early."""
    with pytest.raises(InputError, match="channels and the tokenizer 16"):
        list(decoded(TOKENIZER, iter([torch.zeros(1, 8, 2, 2)])))
