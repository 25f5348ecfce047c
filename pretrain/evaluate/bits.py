"""Teacher-forced bit accuracy and cross-entropy by frame and scale, compared with baselines without a model.

Baselines: `majority` guesses the more frequent value of each bit at each scale in the training data; `copy` guesses the
bits of the previous latent frame at the same place. A model that does not beat both has not learned motion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float64

from videoar.data_pipeline.loading.pack_reader import PackReader
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import Sample, SampleEntry
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.batch.pack import plain_pack
from videoar.pretrain.engine.loss import bitwise_loss
from videoar.pretrain.evaluate.intervals import Interval, difference_interval, ratio_interval
from videoar.pretrain.evaluate.kept import Row
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.tokenizer.scales import ScaleSchedule

VERSION = 2
"""To be raised with every change here that changes a figure of `videoar evaluate bits`."""

Item = TypeVar("Item")
Ones = Float64[np.ndarray, "n t s k"]
"""Number of ones of each bit, by sample, frame and scale."""


@dataclass(frozen=True, slots=True)
class BitTables:
    """Sums for each sample, by frame and scale."""

    loss: Float64[np.ndarray, "n t s"]
    """Sum of the cross-entropy in nats; NaN for a baseline without probabilities."""
    correct: Float64[np.ndarray, "n t s"]
    bits: Float64[np.ndarray, "n t s"]
    """Number of guessed bits; 0 if there is no guess."""

    @property
    def accuracy(self) -> Interval:
        """Accuracy by frame and scale (t, s): the heat map."""
        return ratio_interval(self.correct, self.bits)

    @property
    def cross_entropy(self) -> Interval:
        """Cross-entropy in nats per bit by frame and scale (t, s); chance is ln 2."""
        return ratio_interval(self.loss, self.bits)

    def by_scale(self, *, after_first: bool = False) -> Interval:
        """Accuracy by scale (s,); `after_first` leaves out frame 1, which has nothing to copy."""
        frames = slice(1 if after_first else 0, None)
        return ratio_interval(self.correct[:, frames].sum(1), self.bits[:, frames].sum(1))

    def overall(self, *, after_first: bool = False) -> Interval:
        """Accuracy over all bits."""
        frames = slice(1 if after_first else 0, None)
        return ratio_interval(self.correct[:, frames].sum((1, 2)), self.bits[:, frames].sum((1, 2)))


@dataclass(frozen=True, slots=True)
class BitReport:
    """A model and the baselines, on the same samples."""

    model: BitTables
    majority: BitTables
    copy: BitTables

    def gain(self, over: BitTables) -> Interval:
        """Paired gain in accuracy by scale (s,), over the frames where both guess."""
        both = (self.model.bits > 0) & (over.bits > 0)
        sums = [np.where(both, table, 0).sum(1) for table in (self.model.correct, over.correct, self.model.bits)]
        return difference_interval(*sums)

    def overall_gain(self, over: BitTables) -> Interval:
        """Paired gain in accuracy over all bits of the frames where both guess."""
        both = (self.model.bits > 0) & (over.bits > 0)
        tables = (self.model.correct, over.correct, self.model.bits)
        return difference_interval(*(np.where(both, table, 0).sum((1, 2)) for table in tables))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {
            "num_samples": len(self.model.bits),
            "accuracy": self.model.accuracy.to_dict(),
            "cross_entropy": self.model.cross_entropy.to_dict(),
            "model": self.model.by_scale().to_dict(),
            "majority": self.majority.by_scale().to_dict(),
            "model_after_first": self.model.by_scale(after_first=True).to_dict(),
            "majority_after_first": self.majority.by_scale(after_first=True).to_dict(),
            "copy_after_first": self.copy.by_scale(after_first=True).to_dict(),
            "gain_over_majority": self.gain(self.majority).to_dict(),
            "gain_over_copy": self.gain(self.copy).to_dict(),
            "overall": {name: getattr(self, name).overall().to_dict() for name in ("model", "majority")},
            "overall_after_first": {
                name: getattr(self, name).overall(after_first=True).to_dict() for name in ("model", "majority", "copy")
            },
            "overall_gain": {name: self.overall_gain(getattr(self, name)).to_dict() for name in ("majority", "copy")},
        }


def evaluate_bits(model: VideoAR, samples: Sequence[Sample], reference: Sequence[Sample], window: int) -> BitReport:
    """Score held-out samples of one shape; `reference` are samples of the training data, for the majority."""
    schedule = ScaleSchedule.named(samples[0].entry.schedule)
    return bit_report([bit_row(model, sample, window) for sample in samples], count_ones(reference), schedule)


def bit_row(model: VideoAR, sample: Sample, window: int) -> Row:
    """The sums of one sample, from which a report is made."""
    ones = _ones(sample)
    return {"model": _score(model, sample, window).tolist(), "copied": _copied(sample).tolist(), "ones": ones.tolist()}


def bit_report(rows: Sequence[Row], reference: Ones, schedule: ScaleSchedule) -> BitReport:
    """The report from rows of `bit_row`."""
    model, copied, ones = (np.array([row[name] for row in rows], np.float64) for name in ("model", "copied", "ones"))
    majority = majority_tables(ones, bit_frequencies(reference, schedule), schedule)
    return BitReport(_stack([*model]), majority, _stack([*copied]))


def read_samples(manifest: Manifest, text: TextTokens, max_samples: int | None = None) -> list[Sample]:
    """The first samples of a prepared dataset."""
    return read_entries(manifest, text, manifest.entries[:max_samples])


def spread(entries: Sequence[Item], count: int) -> tuple[Item, ...]:
    """At most `count` entries (or clips), evenly spaced, so that every part of a dataset is covered."""
    count = min(count, len(entries))
    return tuple(entries[place * len(entries) // count] for place in range(count))


def read_entries(manifest: Manifest, text: TextTokens, entries: Iterable[SampleEntry]) -> list[Sample]:
    """These samples of a prepared dataset, in order."""
    reader = PackReader([manifest], text)
    try:
        return [reader.read(PackPlan((entry,), (text.length(entry),)))[0] for entry in entries]
    finally:
        reader.close()


def model_tables(model: VideoAR, samples: Sequence[Sample], window: int) -> BitTables:
    """The model's guesses, each from the stored bits before it (teacher forcing), sample by sample."""
    return _stack([_score(model, sample, window) for sample in samples])


def count_ones(samples: Sequence[Sample]) -> Ones:
    """Ones of each bit, by sample, frame and scale: all that the majority depends on."""
    return np.stack([_ones(sample) for sample in samples])


def bit_frequencies(ones: Ones, schedule: ScaleSchedule) -> Float64[np.ndarray, "s k"]:
    """Share of ones of each bit at each scale, over frames, cells and samples."""
    return ones.sum((0, 1)) / (ones.shape[0] * ones.shape[1] * _tokens(schedule))


def majority_tables(ones: Ones, frequency: Float64[np.ndarray, "s k"], schedule: ScaleSchedule) -> BitTables:
    """Guess the more frequent value, with its frequency as probability, but at least 0.001 for each value."""
    p = frequency.clip(1e-3, 1 - 1e-3)
    zeros = _tokens(schedule) - ones
    loss = -(ones * np.log(p) + zeros * np.log(1 - p)).sum(-1)
    return BitTables(loss, np.where(p > 0.5, ones, zeros).sum(-1), (ones + zeros).sum(-1))


def copy_tables(samples: Sequence[Sample]) -> BitTables:
    """Guess that each bit equals that of the previous frame; there is no guess for frame 1."""
    return _stack([_copied(sample) for sample in samples])


def _tokens(schedule: ScaleSchedule) -> Float64[np.ndarray, "s 1"]:
    return np.array(schedule.tokens, np.float64)[:, None]


def _ones(sample: Sample) -> Float64[np.ndarray, "t s k"]:
    starts = ScaleSchedule.named(sample.entry.schedule).offsets[:-1]
    return np.add.reduceat(sample.bits, starts, axis=1, dtype=np.float64)


def _copied(sample: Sample) -> Float64[np.ndarray, "3 t s"]:
    same = np.zeros_like(sample.bits)
    same[1:] = sample.bits[1:] == sample.bits[:-1]
    table = _by_scale(sample, np.full(sample.bits.shape, np.nan), same)
    table[1:, 0] = 0
    return table


@torch.inference_mode()
def _score(model: VideoAR, sample: Sample, window: int) -> Float64[np.ndarray, "3 t s"]:
    length = len(sample.text) + sample.entry.video_tokens(model.config.history)
    tokens_per_pack = -(-length // 256) * 256
    device = model.input.weight.device
    pack = plain_pack((sample,), model.config, tokens_per_pack=tokens_per_pack, window=window, device=device)
    _, tally = bitwise_loss(model(pack.inputs, choose(pack.layout, pack.weights.device)), pack)
    num_scales = ScaleSchedule.named(sample.entry.schedule).num_scales
    return tally.table[:, : sample.entry.num_frames, :num_scales].cpu().numpy()


def _by_scale(
    sample: Sample, loss: Float64[np.ndarray, "t n k"], correct: Bool[np.ndarray, "t n k"]
) -> Float64[np.ndarray, "3 t s"]:
    """Sums over the bits of each frame and scale."""
    starts = ScaleSchedule.named(sample.entry.schedule).offsets[:-1]
    of_token = np.stack([loss.sum(-1), correct.sum(-1), np.full(loss.shape[:2], loss.shape[2], np.float64)])
    return np.add.reduceat(of_token, starts, axis=2)


def _stack(tables: Sequence[Float64[np.ndarray, "3 t s"]]) -> BitTables:
    loss, correct, bits = np.stack(tables, axis=1)
    return BitTables(loss, correct, bits)
