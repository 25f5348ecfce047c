"""The public interface of the tokenizer: shapes, streams, and input that does not fit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

from .videos import video


def test_shapes_of_the_public_interface(tiny: VideoTokenizer) -> None:
    """encode → quantize → dequantize → decode must give back the clip's own shape at every step."""
    schedule = ScaleSchedule.named("128x128")
    latent = tiny.encode(video(9, 128, 128, b=2))
    assert latent.shape == (2, 16, 3, 8, 8)
    bits = tiny.quantize(latent, schedule)
    assert bits.shape == (2, 3, 130, 16)
    assert bits.dtype == torch.bool
    decoded = tiny.decode(tiny.dequantize(bits, schedule))
    assert decoded.shape == (2, 3, 9, 128, 128)
    assert decoded.abs().max() <= 1


@pytest.mark.parametrize("lengths", [(1, 16), (3, 7, 7), (16, 1), (1,) * 17, (5, 0, 12)])
def test_chunked_encoding_equals_the_whole(tiny: VideoTokenizer, lengths: tuple[int, ...]) -> None:
    """A lost or doubled frame of context at a seam would show from there on."""
    clip = video(17)
    streamed = torch.cat(list(tiny.encode_stream(clip.split(list(lengths), dim=2))), dim=2)
    torch.testing.assert_close(streamed, tiny.encode(clip), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(5,), (1, 4), (2, 2, 1), (1,) * 5])
def test_chunked_decoding_equals_the_whole(tiny: VideoTokenizer, lengths: tuple[int, ...]) -> None:
    """Only the first chunk of a stream drops the repeated first frame; a seam must not."""
    latent = torch.randn(2, 16, 5, 2, 3, generator=torch.Generator().manual_seed(1))
    streamed = torch.cat(list(tiny.decode_stream(latent.split(list(lengths), dim=2))), dim=2)
    torch.testing.assert_close(streamed, tiny.decode(latent), atol=1e-5, rtol=0)


def test_memory_of_a_stream_does_not_grow(tiny: VideoTokenizer) -> None:
    """What layers carry must stay a few frames, or an hour of video would not fit; and latents come while frames do."""
    pulled: list[int] = []

    def frames() -> Iterator[torch.Tensor]:
        for index in range(61):
            pulled.append(index)
            yield video(1, seed=index)

    encoding = tiny.encode_stream(frames())
    decoding = tiny.decode_stream(encoding)
    held = []
    for index, _ in enumerate(decoding):
        assert len(pulled) == 1 + 4 * index
        memories = [stream.gi_frame.f_locals["memory"] for stream in (encoding, decoding)]  # type: ignore[attr-defined]
        held.append([sum(value.untyped_storage().nbytes() for value in memory.values()) for memory in memories])
    assert len(held) == 16
    assert held[1:] == held[1:2] * 15
    assert min(held[1]) > 0


def test_preset_is_a_function_of_its_seed() -> None:
    """Shards name their tokenizer by hash: the same preset and seed must be the same tokenizer, elsewhere and later."""
    first, again, other = (VideoTokenizer.preset("tiny", latent_dim=16, seed=seed) for seed in (3, 3, 4))
    assert first.hash == again.hash != other.hash


def test_input_that_does_not_fit_is_refused(tiny: VideoTokenizer) -> None:
    """A wrong size, length or schedule is answered at the call, by name, and not by a shape error inside a layer."""
    with pytest.raises(InputError, match="multiple of 16"):
        tiny.encode(video(5, height=40))
    with pytest.raises(InputError, match="use 5 or 9"):
        tiny.encode(video(6))
    with pytest.raises(InputError, match="drop the last 1"):
        list(tiny.encode_stream([video(6)]))
    with pytest.raises(InputError, match="32x48"):
        tiny.quantize(tiny.encode(video(1)), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="schedule and tokenizer"):
        tiny.dequantize(torch.zeros(1, 1, 31, 16, dtype=torch.bool), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="did you mean tiny"):
        VideoTokenizer.preset("tinny")
