"""The tokenizer benchmark counts the convolutions that run."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from videoar.benchmarks.cases import Options
from videoar.benchmarks.tokenizer import TokenizerCase, convolutions, rows
from videoar.tokenizer import VideoTokenizer

CASE = TokenizerCase(preset="tiny", frames=5, height=32, width=32, batch=2)


def test_the_first_convolution_is_counted_by_hand() -> None:
    """3 channels to 8 by a kernel of 3 x 3 x 3, on 2 clips of 5 frames of 32 x 32."""
    first = convolutions(CASE, "encode")[0]
    assert first.flops == 2 * 2 * (3 * 27) * 8 * (5 * 32 * 32)
    assert first.size_bytes == 4 * (2 * 3 * 5 * 32 * 32 + 3 * 8 * 27 + 2 * 8 * 5 * 32 * 32)


@pytest.mark.parametrize("way", ["encode", "decode"])
def test_torch_counts_the_same_flops(way: str) -> None:
    """A convolution that the count misses, or counts at another resolution, would move the floor."""
    tokenizer = VideoTokenizer.preset("tiny")
    given = (CASE.video if way == "encode" else CASE.latent)(torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        getattr(tokenizer, way)(given)
    assert sum(work.flops for work in convolutions(CASE, way)) == counter.get_total_flops()


@pytest.mark.slow
def test_every_way_is_measured() -> None:
    """The latent that is decoded has the shape that the encoder gives, whole and as a stream."""
    *found, quantized = rows(Options(size="toy", repeats=1, device=torch.device("cpu")))
    ways = ("whole", "channels first", "channels last", "stream 1", "stream 2", "stream 4")
    assert [(row["pass"], row["subject"]) for row in found] == [
        (way, subject) for way in ("encode", "decode") for subject in ways
    ]
    assert all(row["pixels_per_s"] == 5 * 32 * 32 / row["wall_s"] and row["over_plain"] > 0 for row in found)
    assert (quantized["pass"], quantized["frames"]) == ("quantize", 16)
