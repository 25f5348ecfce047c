"""Clips become samples batch by batch; each clip has a result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.encode import (
    ClipEncoder,
    EncodedClip,
    UnusableClip,
    batches,
    clips_per_batch,
    sample_entry,
)
from videoar.data_pipeline.encoding.footage import Footage
from videoar.data_pipeline.planning.choose import Clip, plan_clips
from videoar.data_pipeline.shards.sample_format import read_bits
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.tokenizer import VideoTokenizer, open_tokenizer

from ..jobs import TOKENIZER, config, shapes

DATASET = shapes(num_clips=3)


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    return open_tokenizer(TOKENIZER)


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, ...]:
    return tuple(plan_clips(DATASET, DecodeLimits())[0])


def drawn(clip: Clip) -> Footage:
    return Footage(clip, draw_clip(0, int(clip.path), DATASET.bucket))


def test_every_clip_has_a_result(tokenizer: VideoTokenizer, clips: tuple[Clip, ...]) -> None:
    """A clip that leaves neither a sample nor a reason is lost without a trace."""
    encoder = ClipEncoder(config(DATASET), tokenizer, torch.device("cpu"))
    lost = Footage(clips[1], None, "the file is gone")
    found = {clip.key: clip for clip in encoder.encode(DATASET, [drawn(clips[0]), lost, drawn(clips[2])])}
    assert found.keys() == {clip.key for clip in clips}
    assert found[clips[1].key] == UnusableClip(clips[1].key, "the file is gone")
    sample = found[clips[2].key]
    assert isinstance(sample, EncodedClip)
    assert read_bits(encoder.sample_format(DATASET), 2, sample.members.bits).shape[0] == 2


def test_a_latent_that_is_not_finite_gives_no_sample(
    tokenizer: VideoTokenizer, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored, it would make the loss of a step NaN weeks later."""
    encode = tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda video: encode(video) * torch.tensor(float("nan")))
    encoder = ClipEncoder(config(DATASET), tokenizer, torch.device("cpu"))
    (found,) = encoder.encode(DATASET, [drawn(clips[0])])
    assert isinstance(found, UnusableClip)
    assert "not finite" in found.reason


def test_batches_are_full_and_of_one_shape() -> None:
    """By rounding, bytes depend on which clips share a batch: it may depend on the clips of a shard alone."""
    shapes_of = [("32x32", 5), ("64x64", 9)]
    items = np.random.default_rng(0).integers(0, 2, 100).tolist()
    found = list(batches(enumerate(items), lambda item: shapes_of[item[1]]))
    assert sorted(item for batch in found for item in batch) == list(enumerate(items))
    for batch in found:
        (kind,) = {kind for _, kind in batch}
        assert batch == sorted(batch)
        assert len(batch) <= clips_per_batch(*shapes_of[kind])
    for kind, shape in enumerate(shapes_of):
        sizes = [len(batch) for batch in found if batch[0][1] == kind]
        assert set(sizes[:-1]) == {clips_per_batch(*shape)}, "only the last one may be smaller"


def test_a_long_large_clip_is_tokenized_alone() -> None:
    """Several of them at once would not fit into memory."""
    assert clips_per_batch("32x32", 5) == 16
    assert clips_per_batch("256x256", 65) == 1


def test_an_entry_counts_latent_frames(clips: tuple[Clip, ...]) -> None:
    """The plan counts pixel frames; packs planned with those would be four times too long."""
    entry = sample_entry("shapes", clips[0], shard="shards/000000.a.tar", offset=512, size_bytes=9)
    assert (clips[0].num_frames, entry.num_frames) == (5, 2)
    assert (entry.key, entry.caption, entry.latent_shard) == (clips[0].key, clips[0].caption, None)
