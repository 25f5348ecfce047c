"""Held-out clips of one shape as bits and conditions: from shards, or from a folder of videos, with their pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.encoding.encode import sample_entry
from videoar.data_pipeline.encoding.footage import Footage, FootageReader, open_clips
from videoar.data_pipeline.planning.choose import OnProgress
from videoar.data_pipeline.shards.manifest import DATASET_KEY, Manifest, open_manifest
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.data_pipeline.storage.objects import Storage
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.evaluate.bits import read_entries, spread
from videoar.pretrain.evaluate.continuation import ClipFrames
from videoar.pretrain.evaluate.kept import KeptRows, Measured, OnDone, Row
from videoar.pretrain.evaluate.robustness.probes import first_frames
from videoar.pretrain.evaluate.tokenized import tokenize
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.video import to_frames
from videoar.pretrain.model.pretrained import ClipShape
from videoar.pretrain.model.vocabulary import text_tokens
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

GROUP = 8
"""Clips that are read and measured together, unless the measurement has a batch size of its own."""

_TOKENIZED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class HeldClips:
    """Clips of one shape, in memory."""

    samples: tuple[Sample, ...]
    """Bits and conditions."""
    frames: tuple[ClipFrames, ...] | None
    """The same clips as they were filmed; None if they come from shards, which hold bits alone."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(name, reason) of each clip that could not be read."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Clips of one shape that were chosen, and are read group by group. Use it as a context manager."""

    has_pixels: bool
    """Whether there are pixels; shards hold only bits."""
    states: tuple[str, ...]
    """For each clip its key, and a value that changes when its bits change."""
    read: Callable[[Sequence[int]], HeldClips]
    """The clips with these numbers."""
    close: Callable[[], object] = lambda: None

    @property
    def signature(self) -> str:
        """Signature of the chosen clips: their number, and a hash of their keys and states."""
        return clips_signature(self.states)

    def num_groups(self, size: int) -> int:
        """Number of groups of this size."""
        return -(-len(self.states) // size)

    def measured(
        self,
        kept: KeptRows,
        task: str,
        size: int,
        measure: Callable[[HeldClips], Sequence[Row]],
        on_done: OnDone = lambda done, total: None,
    ) -> Measured:
        """A row, with the clip's key, for each clip of the part. InputError if none of all clips could be read."""

        def of_group(numbers: Sequence[int]) -> Measured:
            held = self.read(numbers)
            rows = zip(held.samples, measure(held) if held.samples else (), strict=True)
            left_out = [list(left) for left in held.left_out]
            return Measured([{"key": sample.entry.key, **row} for sample, row in rows], left_out)

        found = kept.of(task, range(len(self.states)), size, of_group, on_done)
        if kept.part is None and not found.rows:
            raise InputError("clips", found.left_out[0][0], "and all others cannot be decoded", "give other videos")
        return found

    def __enter__(self) -> HeldOut:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def clips_signature(names: Sequence[str]) -> str:
    """The number of clips, and a hash of their names."""
    joined = "\n".join(names)
    return f"clips={len(names)}:{hashlib.sha256(joined.encode()).hexdigest()[:8]}"


def keys_signature(rows: Sequence[Row]) -> str:
    """The number of measured clips, and a hash of their keys."""
    return clips_signature([row["key"] for row in rows])


def is_dataset(url: str) -> bool:
    """Whether a path or URL is that of shards: a prepared dataset, or the folder of several."""
    storage = Storage.open(url)
    return storage.exists(DATASET_KEY) or (storage.is_local and any(Path(url).glob(f"*/{DATASET_KEY}")))


def clips_of_shards(pipeline: VideoPipeline, url: str, shape: ClipShape, num_frames: int, max_clips: int) -> HeldOut:
    """Samples of a prepared dataset at even distances, cut to the length. InputError if there is none."""
    manifest, wanted = open_manifest(url), latent_frames(num_frames)
    if manifest.tokenizer_hash != pipeline.tokenizer.hash:
        problem = f"has bits of tokenizer {manifest.tokenizer_hash}, but the weights read those of "
        raise InputError("clips", url, problem + pipeline.tokenizer.hash, "give shards of the same tokenizer")
    entries = [entry for entry in manifest.entries if entry.schedule == shape.schedule]
    long = [entry for entry in entries if entry.num_frames >= wanted]
    if not long:
        most = max((entry.num_frames for entry in entries), default=0)
        problem = f"holds no clip of {shape.schedule} with {wanted} latent frames (the longest has {most})"
        raise InputError("clips", url, problem, "give other shards, another --size or a smaller --num-frames")
    chosen, text = spread(long, max_clips), _stored_text(pipeline, manifest)

    def read(numbers: Sequence[int]) -> HeldClips:
        samples = read_entries(manifest, text, [chosen[number] for number in numbers])
        return HeldClips(tuple(first_frames(sample, wanted) for sample in samples), None)

    return HeldOut(False, tuple(_state(manifest.hash, entry) for entry in chosen), read)


def clips_of_folder(
    pipeline: VideoPipeline,
    source: SourceConfig,
    shape: ClipShape,
    num_frames: int,
    max_clips: int,
    *,
    on_left_out: Callable[[str, str], None],
    on_progress: OnProgress,
) -> HeldOut:
    """Clips of the videos of a folder, at even distances; cut and tokenized as the preparation of data does it."""
    bucket = ClipBucket(schedule=shape.schedule, num_frames=num_frames, fps=shape.fps)
    chosen = open_clips(source, bucket, on_left_out=on_left_out, on_progress=on_progress)
    clips = spread(chosen.clips, max_clips)
    entries = [sample_entry("clips", clip, shard="", offset=0, size_bytes=0) for clip in clips]
    if (text := pipeline.config.model.text).kind == "label":
        for entry in entries:
            text_tokens(text).tokens(entry)  # a label that is missing is found before the work
    states = tuple(_state(clip.etag, entry) for clip, entry in zip(clips, entries, strict=True))
    reader = FootageReader(source, chosen.limits, chosen.processes)

    def read(numbers: Sequence[int]) -> HeldClips:
        footage = reader.read([clips[number] for number in numbers])
        return _tokenized(pipeline, [entries[number] for number in numbers], footage)

    return HeldOut(True, states, read, reader.close)


def _state(made_of: str, entry: SampleEntry) -> str:
    return json.dumps([entry.key, made_of, entry.caption, entry.label])


def _tokenized(pipeline: VideoPipeline, entries: Sequence[SampleEntry], footage: Iterable[Footage]) -> HeldClips:
    seen: list[tuple[SampleEntry, ClipFrames]] = []
    left_out: list[tuple[str, str]] = []
    for entry, item in zip(entries, footage, strict=True):
        if item.frames is None:
            left_out.append((item.clip.path, item.reason))
        else:
            seen.append((entry, item.frames))
    frames = tuple(shown for _, shown in seen)
    samples = tuple(
        Sample(entry, PackedBits.of(made.bits), None, _condition(pipeline, entry))
        for (entry, _), made in zip(seen, tokenize(pipeline.tokenizer, frames, _TOKENIZED_AT_ONCE), strict=True)
    )
    return HeldClips(samples, frames, tuple(left_out))


@torch.inference_mode()
def decode_bits(pipeline: VideoPipeline, samples: Sequence[Sample]) -> list[ClipFrames]:
    """The clips as the tokenizer decodes them."""
    schedule, device = ScaleSchedule.named(samples[0].entry.schedule), pipeline.model.input.weight.device
    bits = (torch.from_numpy(sample.bits[None]).to(device) for sample in samples)
    tokenizer = pipeline.tokenizer
    return [to_frames(tokenizer.decode(tokenizer.dequantize(of_one, schedule)))[0] for of_one in bits]


def _stored_text(pipeline: VideoPipeline, manifest: Manifest) -> TextTokens:
    """Opens what turns captions into text tokens: tables of the model, or the T5 states that are stored with the
    shards."""
    text = pipeline.config.model.text
    if text.kind != "t5":
        return text_tokens(text)
    from videoar.data_pipeline.text.states import StatesText  # needs transformers, which other texts do not

    return StatesText.open([manifest], text.encoder_hash, text.max_tokens, text.width)


def _condition(pipeline: VideoPipeline, entry: SampleEntry) -> Shaped[np.ndarray, "_m ..."]:
    text = pipeline.config.model.text
    return pipeline.condition(entry.caption) if text.kind == "t5" else text_tokens(text).tokens(entry)
