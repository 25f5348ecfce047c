"""The autoencoder and its public interface: causality, streams, images, weights on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import ScaleSchedule, VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource
from videoar.tokenizer.presets import PRESETS


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    return VideoTokenizer.preset("tiny", latent_dim=16)


def video(frames: int, height: int = 32, width: int = 48, b: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(b, 3, frames, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_shapes_of_the_public_interface(tokenizer: VideoTokenizer) -> None:
    """encode → quantize → dequantize → decode must give back the clip's own shape at every step."""
    schedule = ScaleSchedule.named("128x128")
    latent = tokenizer.encode(video(9, 128, 128, b=2))
    assert latent.shape == (2, 16, 3, 8, 8)
    bits = tokenizer.quantize(latent, schedule)
    assert bits.shape == (2, 3, 130, 16)
    assert bits.dtype == torch.bool
    decoded = tokenizer.decode(tokenizer.dequantize(bits, schedule))
    assert decoded.shape == (2, 3, 9, 128, 128)
    assert decoded.abs().max() <= 1


@pytest.mark.parametrize("frame", [0, 1, 4, 5, 16])
def test_encoder_does_not_look_ahead(tokenizer: VideoTokenizer, frame: int) -> None:
    """Latent i sees pixel frames <= 4i: a changed frame must leave every earlier latent as it was, to the bit."""
    clip = video(17)
    changed = clip.clone()
    changed[:, :, frame] *= -1
    moved = (tokenizer.encode(changed) != tokenizer.encode(clip)).flatten(3).any(dim=3).any(dim=1)[0]
    first = -(-frame // 4)
    assert not moved[:first].any()
    assert moved[first]


@pytest.mark.parametrize("frame", [0, 1, 3])
def test_decoder_does_not_look_ahead(tokenizer: VideoTokenizer, frame: int) -> None:
    """Pixel frames up to 4(i-1) exist before latent i does: it must not change them."""
    latent = torch.randn(1, 16, 5, 2, 3, generator=torch.Generator().manual_seed(0))
    changed = latent.clone()
    changed[:, :, frame] *= -1
    moved = (tokenizer.decode(changed) != tokenizer.decode(latent)).flatten(3).any(dim=3).any(dim=1)[0]
    first = 0 if frame == 0 else 4 * frame - 3
    assert not moved[:first].any()
    assert moved[first]


@pytest.mark.parametrize("lengths", [(1, 16), (3, 7, 7), (16, 1), (1,) * 17, (5, 0, 12)])
def test_chunked_encoding_equals_the_whole(tokenizer: VideoTokenizer, lengths: tuple[int, ...]) -> None:
    """A lost or doubled frame of context at a seam would show from there on."""
    clip = video(17)
    streamed = torch.cat(list(tokenizer.encode_stream(clip.split(list(lengths), dim=2))), dim=2)
    torch.testing.assert_close(streamed, tokenizer.encode(clip), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(5,), (1, 4), (2, 2, 1), (1,) * 5])
def test_chunked_decoding_equals_the_whole(tokenizer: VideoTokenizer, lengths: tuple[int, ...]) -> None:
    """Only the first chunk of a stream drops the repeated first frame; a seam must not."""
    latent = torch.randn(2, 16, 5, 2, 3, generator=torch.Generator().manual_seed(1))
    streamed = torch.cat(list(tokenizer.decode_stream(latent.split(list(lengths), dim=2))), dim=2)
    torch.testing.assert_close(streamed, tokenizer.decode(latent), atol=1e-5, rtol=0)


def test_memory_of_a_stream_does_not_grow(tokenizer: VideoTokenizer) -> None:
    """What layers carry must stay a few frames, or an hour of video would not fit; and latents come while frames do."""
    pulled: list[int] = []

    def frames() -> Iterator[torch.Tensor]:
        for index in range(61):
            pulled.append(index)
            yield video(1, seed=index)

    encoding = tokenizer.encode_stream(frames())
    decoding = tokenizer.decode_stream(encoding)
    held = []
    for index, _ in enumerate(decoding):
        assert len(pulled) == 1 + 4 * index
        memories = [stream.gi_frame.f_locals["memory"] for stream in (encoding, decoding)]  # type: ignore[attr-defined]
        held.append([sum(value.untyped_storage().nbytes() for value in memory.values()) for memory in memories])
    assert len(held) == 16
    assert held[1:] == held[1:2] * 15
    assert min(held[1]) > 0


def test_one_frame_is_an_image(tokenizer: VideoTokenizer) -> None:
    """The first frame of a video is encoded and decoded as the image it would be alone."""
    clip = video(5)
    torch.testing.assert_close(tokenizer.encode(clip)[:, :, :1], tokenizer.encode(clip[:, :, :1]), atol=1e-5, rtol=0)
    latent = tokenizer.encode(clip)
    torch.testing.assert_close(
        tokenizer.decode(latent)[:, :, :1], tokenizer.decode(latent[:, :, :1]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("name", "millions"), [("paper-2d", 110), ("paper", 330), ("infinity-d32", 110), ("small", 21), ("tiny", 1)]
)
def test_parameter_counts(name: str, millions: int) -> None:
    """Another count is another network than the public image tokenizer, and its weights would not load."""
    with torch.device("meta"):
        tokenizer = VideoTokenizer(PRESETS[name])
    assert round(sum(parameter.numel() for parameter in tokenizer.parameters()) / 1e6) == millions


def test_preset_is_a_function_of_its_seed() -> None:
    """Shards name their tokenizer by hash: the same preset and seed must be the same tokenizer, elsewhere and later."""
    first, again, other = (VideoTokenizer.preset("tiny", latent_dim=16, seed=seed) for seed in (3, 3, 4))
    assert first.hash == again.hash != other.hash


def test_saved_weights_load_back_equal(tmp_path: Path, tokenizer: VideoTokenizer) -> None:
    """float32 is kept to the bit; float16 is read back as float32, and its hash is that of the rounded weights."""
    tokenizer.save(tmp_path / "full")
    loaded = open_tokenizer(TokenizerSource(path=str(tmp_path / "full")))
    assert loaded.hash == tokenizer.hash
    assert loaded.config == tokenizer.config
    tokenizer.save(tmp_path / "half", dtype=torch.float16)
    half = VideoTokenizer.from_pretrained(tmp_path / "half")
    assert next(half.parameters()).dtype == torch.float32
    assert half.hash == VideoTokenizer.from_pretrained(tmp_path / "half").hash != tokenizer.hash
    torch.testing.assert_close(half.encode(video(5)), tokenizer.encode(video(5)), atol=1e-2, rtol=1e-2)


def test_missing_and_mismatching_weights_are_refused(tmp_path: Path, tokenizer: VideoTokenizer) -> None:
    """Each way of getting the folder wrong says what and what to do, instead of a traceback or silent garbage."""
    with pytest.raises(InputError, match=r"holds no config\.json"):
        VideoTokenizer.from_pretrained(tmp_path / "nothing")
    tokenizer.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"config": config["config"] | {"latent_dim": 24}}))
    with pytest.raises(InputError, match=r"does not fit config\.json"):
        VideoTokenizer.from_pretrained(tmp_path)
    VideoTokenizer.preset("tiny", latent_dim=24).save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="copy both files together"):
        VideoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        VideoTokenizer.from_pretrained(tmp_path)


def test_input_that_does_not_fit_is_refused(tokenizer: VideoTokenizer) -> None:
    """A wrong size, length or schedule is answered at the call, by name, and not by a shape error inside a layer."""
    with pytest.raises(InputError, match="multiple of 16"):
        tokenizer.encode(video(5, height=40))
    with pytest.raises(InputError, match="use 5 or 9"):
        tokenizer.encode(video(6))
    with pytest.raises(InputError, match="drop the last 1"):
        list(tokenizer.encode_stream([video(6)]))
    with pytest.raises(InputError, match="32x48"):
        tokenizer.quantize(tokenizer.encode(video(1)), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="schedule and tokenizer"):
        tokenizer.dequantize(torch.zeros(1, 1, 31, 16, dtype=torch.bool), ScaleSchedule.named("64x64"))
    with pytest.raises(InputError, match="did you mean tiny"):
        VideoTokenizer.preset("tinny")
