"""Held-out clips of one shape as bits and conditions: from shards, or from a folder of videos, with their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.encoding.encode import sample_entry
from videoar.data_pipeline.encoding.footage import FootageReader, open_clips
from videoar.data_pipeline.planning.choose import OnProgress
from videoar.data_pipeline.shards.manifest import DATASET_KEY, Manifest, open_manifest
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.data_pipeline.storage.objects import Storage
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.evaluate.bits import read_entries, spread
from videoar.pretrain.evaluate.continuation import ClipFrames
from videoar.pretrain.evaluate.robustness.probes import first_frames
from videoar.pretrain.evaluate.tokenized import tokenize
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.video import to_frames
from videoar.pretrain.model.pretrained import ClipShape
from videoar.pretrain.model.vocabulary import text_tokens
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

Text = Shaped[np.ndarray, "_m ..."]
"""Token ids, or states of an encoder."""

_TOKENIZED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class HeldClips:
    """Clips of one shape."""

    samples: tuple[Sample, ...]
    """Bits and conditions."""
    frames: tuple[ClipFrames, ...] | None
    """The same clips as they were filmed; None if they come from shards, which hold bits alone."""

    @property
    def signature(self) -> str:
        """How many and which clips."""
        names = "\n".join(sample.entry.key for sample in self.samples)
        return f"clips={len(self.samples)}:{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def is_dataset(url: str) -> bool:
    """Whether a path or URL is that of shards: a prepared dataset, or the folder of several."""
    storage = Storage.open(url)
    return storage.exists(DATASET_KEY) or (storage.is_local and any(Path(url).glob(f"*/{DATASET_KEY}")))


def clips_of_shards(pipeline: VideoPipeline, url: str, shape: ClipShape, num_frames: int, max_clips: int) -> HeldClips:
    """Samples of a prepared dataset at even distances, cut to the length. InputError if there is none."""
    manifest, wanted = open_manifest(url), latent_frames(num_frames)
    if manifest.tokenizer_hash != pipeline.tokenizer.hash:
        problem = f"has bits of tokenizer {manifest.tokenizer_hash}, and the weights read those of "
        raise InputError("clips", url, problem + pipeline.tokenizer.hash, "give shards of the same tokenizer")
    entries = [entry for entry in manifest.entries if entry.schedule == shape.schedule]
    long = [entry for entry in entries if entry.num_frames >= wanted]
    if not long:
        most = max((entry.num_frames for entry in entries), default=0)
        problem = f"holds no clip of {shape.schedule} with {wanted} latent frames (the longest has {most})"
        raise InputError("clips", url, problem, "give other shards, another --size or a smaller --num-frames")
    read = read_entries(manifest, _stored_text(pipeline, manifest), spread(long, max_clips))
    return HeldClips(tuple(first_frames(sample, wanted) for sample in read), None)


def clips_of_folder(
    pipeline: VideoPipeline,
    source: SourceConfig,
    shape: ClipShape,
    num_frames: int,
    max_clips: int,
    *,
    on_left_out: Callable[[str, str], None],
    on_progress: OnProgress,
) -> HeldClips:
    """Clips of the videos of a folder, at even distances; cut and tokenized as the preparation of data does it."""
    bucket = ClipBucket(schedule=shape.schedule, num_frames=num_frames, fps=shape.fps)
    chosen = open_clips(source, bucket, on_left_out=on_left_out, on_progress=on_progress)
    clips = spread(chosen.clips, max_clips)
    entries = [sample_entry("clips", clip, shard="", offset=0, size_bytes=0) for clip in clips]
    texts = [_condition(pipeline, entry) for entry in entries]  # a label that is missing is found before the work
    seen: list[tuple[SampleEntry, Text, ClipFrames]] = []
    with FootageReader(source, chosen.limits, chosen.processes) as reader:
        for entry, text, footage in zip(entries, texts, reader.read(clips), strict=True):
            if footage.frames is None:
                on_left_out(footage.clip.path, footage.reason)
            else:
                seen.append((entry, text, footage.frames))
    if not seen:
        raise InputError("clips", source.path, "has no clip that can be decoded", "give other videos")
    frames = [shown for _, _, shown in seen]
    made = tokenize(pipeline.tokenizer, frames, _TOKENIZED_AT_ONCE)
    samples = [
        Sample(entry, PackedBits.of(of_one.bits), None, text)
        for (entry, text, _), of_one in zip(seen, made, strict=True)
    ]
    return HeldClips(tuple(samples), tuple(frames))


@torch.inference_mode()
def decode_bits(pipeline: VideoPipeline, samples: Sequence[Sample]) -> list[ClipFrames]:
    """The clips as the tokenizer shows them."""
    schedule, device = ScaleSchedule.named(samples[0].entry.schedule), pipeline.model.input.weight.device
    bits = (torch.from_numpy(sample.bits[None]).to(device) for sample in samples)
    tokenizer = pipeline.tokenizer
    return [to_frames(tokenizer.decode(tokenizer.dequantize(of_one, schedule)))[0] for of_one in bits]


def _stored_text(pipeline: VideoPipeline, manifest: Manifest) -> TextTokens:
    """What turns captions into text tokens: tables of the model, or the T5 states that are stored with the shards."""
    text = pipeline.config.model.text
    if text.kind != "t5":
        return text_tokens(text)
    from videoar.data_pipeline.text.states import StatesText  # needs transformers, which other texts do not

    return StatesText.open([manifest], text.encoder_hash, text.max_tokens, text.width)


def _condition(pipeline: VideoPipeline, entry: SampleEntry) -> Text:
    text = pipeline.config.model.text
    return pipeline.condition(entry.caption) if text.kind == "t5" else text_tokens(text).tokens(entry)
