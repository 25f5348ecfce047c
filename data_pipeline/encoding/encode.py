"""From the pixels of clips to the bytes of samples, in one way for shards and for training without shards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float32, UInt8

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.encoding.footage import Footage
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.shards.manifest import sample_id
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import Members, SampleFormat, sample_format, write_sample
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.pixels import from_bytes
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

Item = TypeVar("Item")

_PIXELS_PER_BATCH = 1 << 22
_CLIPS_PER_BATCH = 16
_LARGEST_FP16 = 65_504.0


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """A clip as the bytes of its sample."""

    key: str
    members: Members


@dataclass(frozen=True, slots=True)
class UnusableClip:
    """A clip that gives no sample, and why."""

    key: str
    reason: str


class ClipEncoder:
    """Tokenizes clips on a device. Threads may share it: one batch is tokenized at a time, so memory is bounded."""

    def __init__(self, config: DataConfig, tokenizer: VideoTokenizer, device: torch.device) -> None:
        self._config, self._device = config, device
        self._hash = tokenizer.hash
        self._tokenizer = tokenizer.to(device)
        self._one_batch = threading.Lock()

    def sample_format(self, dataset: DatasetConfig) -> SampleFormat:
        """The format of a dataset's samples."""
        return sample_format(dataset, self._config, self._tokenizer, self._hash)

    def encode(self, dataset: DatasetConfig, footage: Iterable[Footage]) -> Iterator[EncodedClip | UnusableClip]:
        """Every clip, as the bytes of a sample or with the reason why it gives none.

        Clips of one shape are tokenized in batches, so results come in another order than the clips.
        """
        waiting = Batches[Footage](lambda item: (item.clip.schedule, item.clip.num_frames))
        for item in footage:
            if item.frames is None:
                yield UnusableClip(item.clip.key, item.reason)
            elif batch := waiting.add(item):
                yield from self._encode_batch(dataset, batch)
        for batch in waiting.rest():
            yield from self._encode_batch(dataset, batch)

    def _encode_batch(self, dataset: DatasetConfig, batch: Sequence[Footage]) -> Iterator[EncodedClip | UnusableClip]:
        frames = np.stack([item.frames for item in batch if item.frames is not None])
        sample_format = replace(self.sample_format(dataset), schedule=ScaleSchedule.named(batch[0].clip.schedule))
        with self._one_batch:
            latents, bits = self._tokenize(frames, sample_format.schedule)
        largest = _LARGEST_FP16 if sample_format.latent == "fp16" else float(np.finfo(np.float32).max)
        for item, latent, code in zip(batch, latents, bits, strict=True):
            if np.isfinite(latent).all() and np.abs(latent).max() <= largest:
                yield EncodedClip(item.clip.key, write_sample(sample_format, code, latent))
            else:
                reason = f"its latent is not finite, or too large for latent={sample_format.latent}"
                yield UnusableClip(item.clip.key, reason)

    def _tokenize(
        self, frames: UInt8[np.ndarray, "b f h w 3"], schedule: ScaleSchedule
    ) -> tuple[Float32[np.ndarray, "b t k hh ww"], Bool[np.ndarray, "b t n k"]]:
        latent = self._tokenizer.encode(from_bytes(torch.from_numpy(frames).to(self._device)))
        bits = self._tokenizer.quantize(latent, schedule)
        return rearrange(latent, "b k t h w -> b t k h w").contiguous().cpu().numpy(), bits.cpu().numpy()


class Batches(Generic[Item]):
    """Groups items by shape (schedule, pixel frames) into the batches that are tokenized together.

    A batch is ready as soon as it is full, so batches depend on the clips of a shard alone. A sample depends, by
    rounding, on how many clips are tokenized with it: to get the bytes that a shard holds, tokenize the same batch.
    """

    def __init__(self, shape: Callable[[Item], tuple[str, int]]) -> None:
        self._shape = shape
        self._waiting: dict[tuple[str, int], list[Item]] = {}

    def add(self, item: Item) -> list[Item]:
        """The batch that this item fills; an empty list if its batch is not full yet."""
        shape = self._shape(item)
        batch = self._waiting.setdefault(shape, [])
        batch.append(item)
        return self._waiting.pop(shape) if len(batch) == clips_per_batch(*shape) else []

    def rest(self) -> Iterator[list[Item]]:
        """The batches that did not fill, after the last item."""
        yield from self._waiting.values()


def batches(items: Iterable[Item], shape: Callable[[Item], tuple[str, int]]) -> Iterator[list[Item]]:
    """The batches of all items, in the order in which they fill."""
    waiting = Batches(shape)
    for item in items:
        if batch := waiting.add(item):
            yield batch
    yield from waiting.rest()


def clips_per_batch(schedule: str, num_frames: int) -> int:
    """The size of a batch, a function of the shape alone, so that shards do not depend on the number of actors."""
    height, width = ScaleSchedule.named(schedule).pixels
    return max(1, min(_CLIPS_PER_BATCH, _PIXELS_PER_BATCH // (num_frames * height * width)))


def sample_entry(
    dataset: str,
    clip: Clip,
    *,
    shard: str,
    offset: int,
    size_bytes: int,
    latent_shard: str | None = None,
    latent_offset: int | None = None,
    latent_bytes: int | None = None,
) -> SampleEntry:
    """The manifest's entry for a clip of the plan, with the places of its payloads."""
    return SampleEntry(
        key=clip.key,
        sample_id=sample_id(dataset, clip.key),
        dataset=dataset,
        schedule=clip.schedule,
        num_frames=latent_frames(clip.num_frames),
        caption=clip.caption,
        label=clip.label,
        shard=shard,
        offset=offset,
        size_bytes=size_bytes,
        latent_shard=latent_shard,
        latent_offset=latent_offset,
        latent_bytes=latent_bytes,
    )
