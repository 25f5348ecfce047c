"""The public interface of the tokenizer: shapes, streams, and input that does not fit."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.presets import preset_config

from .live_tensors import LiveTensors
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


@pytest.fixture(scope="module", params=["all", "resampling"])
def either(request: pytest.FixtureRequest) -> VideoTokenizer:
    """The tiny tokenizer, and the same with mostly 2-D convolutions."""
    torch.manual_seed(0)
    return VideoTokenizer(dataclasses.replace(preset_config("tiny", 16), temporal_layers=request.param)).eval()


def cuts(total: int, draw: random.Random) -> list[int]:
    """Lengths of chunks that add up to `total`; some are empty."""
    places = sorted(draw.choices(range(total + 1), k=draw.randrange(6)))
    return [end - begin for begin, end in itertools.pairwise([0, *places, total])]


@pytest.mark.parametrize("latents_per_call", [1, 2, 3])
def test_chunked_encoding_equals_the_whole(either: VideoTokenizer, latents_per_call: int) -> None:
    """A lost or doubled frame of context at a seam would show from there on, for some way of cutting the video."""
    clip, draw = video(17, 32, 32), random.Random(latents_per_call)
    whole = either.encode(clip)
    for lengths in [[1] * 17, *(cuts(17, draw) for _ in range(3))]:
        streamed = torch.cat(list(either.encode_stream(clip.split(lengths, dim=2), latents_per_call)), dim=2)
        torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("latents_per_call", [1, 2, 3])
def test_chunked_decoding_equals_the_whole(either: VideoTokenizer, latents_per_call: int) -> None:
    """Only the first chunk of a stream drops the repeated first frame; a seam must not."""
    latent, draw = torch.randn(1, 16, 6, 2, 2, generator=torch.Generator().manual_seed(1)), random.Random(1)
    whole = either.decode(latent)
    for lengths in [[1] * 6, *(cuts(6, draw) for _ in range(3))]:
        streamed = torch.cat(list(either.decode_stream(latent.split(lengths, dim=2), latents_per_call)), dim=2)
        torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=0)


def peak_of_stream(tokenizer: VideoTokenizer, frames: int, side: int) -> int:
    """Most bytes of tensors that exist at the same time while a video is encoded and decoded as a stream."""
    with LiveTensors() as live:
        for _ in tokenizer.decode_stream(tokenizer.encode_stream(chunks(frames, side))):
            pass
    return live.peak


def chunks(frames: int, side: int) -> Iterator[torch.Tensor]:
    """A video of `frames` in chunks of ten, drawn when they are asked for."""
    return (torch.rand(1, 3, min(10, frames - begin), side, side) for begin in range(0, frames, 10))


@pytest.mark.parametrize(
    ("frames", "side"),
    [pytest.param(301, 32, marks=pytest.mark.slow), pytest.param(10_001, 64, marks=pytest.mark.drill)],
)
def test_tensor_memory_of_a_stream_is_flat_in_length(tiny: VideoTokenizer, frames: int, side: int) -> None:
    """A list that keeps every chunk, or a layer that keeps a view of one, would end a film after some minutes."""
    assert peak_of_stream(tiny, frames, side) <= 1.1 * peak_of_stream(tiny, 101, side)


@pytest.mark.parametrize(("preset", "most"), [("paper", 24), ("paper-light", 14)])
def test_a_stream_of_720p_fits_a_gpu(preset: str, most: int) -> None:
    """GiB in bfloat16, besides the weights, for either way: this is why frames need not be cut into tiles."""
    with torch.device("meta"):
        tokenizer = VideoTokenizer(preset_config(preset)).to(torch.bfloat16)
        frames = [torch.empty(1, 3, count, 720, 1280, dtype=torch.bfloat16) for count in (1, 8, 8)]
        latents = [torch.empty(1, 48, count, 45, 80, dtype=torch.bfloat16) for count in (1, 2, 2)]
    for stream in (tokenizer.encode_stream(frames), tokenizer.decode_stream(latents)):
        with LiveTensors() as live:
            assert len(list(stream)) == 3
        assert most / 4 < live.peak / 2**30 < most


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
    with pytest.raises(InputError, match=r"latents_per_call=0: is below 1"):
        list(tiny.encode_stream([video(5)], latents_per_call=0))
    with pytest.raises(InputError, match="32x48"):
        tiny.quantize(tiny.encode(video(1)), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="schedule and tokenizer"):
        tiny.dequantize(torch.zeros(1, 1, 31, 16, dtype=torch.bool), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="did you mean tiny"):
        VideoTokenizer.preset("tinny")
