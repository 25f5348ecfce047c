"""The order of training: which samples are in which pack of which step, a pure function of the data and a seed.

Each epoch of a dataset is a permutation of its samples (`epoch_order`). The datasets of a mixture are interleaved by
weight into one global order. That order is cut into windows of 1,024 samples, and the samples of each window are packed
by first-fit. A window depends on its number alone, so resuming computes one window; the number of processes changes
nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int64

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.loading.epoch_order import EpochOrders
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

WINDOW = 1024
"""Samples of the global order that are packed together."""

_PAIRS_PER_TOKEN = 16_384
"""Attended pairs that cost as much as the matrix products of one token: 32 d^2 / 4 d at a width d of 2,048."""


@dataclass(frozen=True, slots=True)
class LoaderState:
    """Where the next step begins in the order."""

    window: int = 0
    pack: int = 0
    """Packs of that window that are used already."""


@dataclass(frozen=True, slots=True)
class PackPlan:
    """The samples of one pack, in order. A pack is one sequence of at most `tokens_per_pack` tokens."""

    entries: tuple[SampleEntry, ...]
    text_lengths: tuple[int, ...]
    """The number of text tokens m of each sample."""
    history: HistoryKind = "scales"
    """With `context`, context tokens follow every frame of a sample but its last."""

    @property
    def num_tokens(self) -> int:
        return sum(self.text_lengths) + sum(entry.video_tokens(self.history) for entry in self.entries)

    @property
    def num_frames(self) -> int:
        """Latent frames in the pack."""
        return sum(entry.num_frames for entry in self.entries)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The packs of one optimizer step, the same for any number of processes."""

    packs: tuple[PackPlan, ...]

    @property
    def num_frames(self) -> int:
        """Latent frames of the whole step: N in the loss."""
        return sum(pack.num_frames for pack in self.packs)


class PackSampler:
    """Plans steps of `batch` packs from any state. The docstring of the module describes the order."""

    def __init__(
        self,
        manifests: Sequence[Manifest],
        weights: Sequence[float],
        tokens_per_pack: int,
        batch: int,
        seed: int,
        text: TextTokens,
        history: HistoryKind = "scales",
    ) -> None:
        assert len(manifests) == len(weights) > 0, "one weight a manifest"
        self._manifests, self._tokens_per_pack, self._batch, self._seed = manifests, tokens_per_pack, batch, seed
        self._history = history
        self._bounds = _window_bounds(manifests, weights)
        self._text_lengths = [text.lengths(manifest.entries) for manifest in manifests]
        self._orders = [EpochOrders(seed, manifest.name, len(manifest.entries)) for manifest in manifests]
        self._lengths = [
            _lengths(manifest, texts, tokens_per_pack, history)
            for manifest, texts in zip(manifests, self._text_lengths, strict=True)
        ]
        self._cached: tuple[int, tuple[PackPlan, ...]] | None = None

    @property
    def hash(self) -> str:
        """Sixteen hex digits of everything that the order depends on. A state is valid for this hash only."""
        texts = [hashlib.sha256(lengths.tobytes()).hexdigest() for lengths in self._text_lengths]
        shares = [str(bound) for bound in self._bounds]
        manifests = [(manifest.name, manifest.hash) for manifest in self._manifests]
        facts = [manifests, shares, texts, self._tokens_per_pack, self._batch, self._seed, WINDOW]
        facts += [self._history] if self._history != "scales" else []  # hashes of earlier versions stay valid
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def next(self, state: LoaderState) -> tuple[StepPlan, LoaderState]:
        """The step that begins at a state, and the state after it."""
        packs: list[PackPlan] = []
        window, used = state.window, state.pack
        while len(packs) < self._batch:
            available = self.window(window)
            take = available[used : used + self._batch - len(packs)]
            packs += take
            used += len(take)
            if used >= len(available):
                window, used = window + 1, 0
        return StepPlan(tuple(packs)), LoaderState(window, used)

    def window(self, number: int) -> tuple[PackPlan, ...]:
        """The packs of one window, in order. The last window is cached."""
        if self._cached is None or self._cached[0] != number:
            self._cached = (number, self._pack(self.order(number)))
        return self._cached[1]

    def order(self, number: int) -> tuple[tuple[int, int], ...]:
        """The samples of one window before packing, each as (index of its dataset, index in its manifest)."""
        starts, stops = _counts(self._bounds, number), _counts(self._bounds, number + 1)
        walks = [self._walk(part, *edges) for part, edges in enumerate(zip(starts, stops, strict=True))]
        places = np.concatenate([(np.arange(len(walk)) + 0.5) / max(1, len(walk)) for walk in walks])
        parts = np.repeat(np.arange(len(walks)), [len(walk) for walk in walks])
        order = np.lexsort((parts, places))
        return tuple(zip(parts[order].tolist(), np.concatenate(walks)[order].tolist(), strict=True))

    def _walk(self, part: int, start: int, stop: int) -> Int64[np.ndarray, " i"]:
        """Samples start..stop of a dataset when its epochs follow each other without end."""
        size = len(self._manifests[part].entries)
        pieces = [np.empty(0, dtype=np.int64)]
        for epoch in range(start // size, -(-stop // size)):
            first, last = max(0, start - epoch * size), min(size, stop - epoch * size)
            pieces.append(self._orders[part].slice(epoch, first, last))
        return np.concatenate(pieces)

    def _pack(self, order: Sequence[tuple[int, int]]) -> tuple[PackPlan, ...]:
        parts, samples = (np.array(column, dtype=np.int64) for column in zip(*order, strict=True))
        texts, lengths = np.empty_like(parts), np.empty_like(parts)
        entries = np.empty(len(order), dtype=object)
        for part, manifest in enumerate(self._manifests):
            mine = parts == part
            texts[mine] = self._text_lengths[part][samples[mine]]
            lengths[mine] = self._lengths[part][samples[mine]]
            entries[mine] = manifest.entries.take(samples[mine])
        packs = first_fit(lengths, self._tokens_per_pack)
        return _plans(packs, entries.tolist(), texts.tolist(), self._history)


def packs_once(
    manifest: Manifest, tokens_per_pack: int, text: TextTokens, history: HistoryKind = "scales"
) -> tuple[PackPlan, ...]:
    """Every sample of a dataset exactly once, in the manifest's order: for validation."""
    texts = text.lengths(manifest.entries)
    packs = first_fit(_lengths(manifest, texts, tokens_per_pack, history), tokens_per_pack)
    return _plans(packs, manifest.entries, texts.tolist(), history)


def _plans(
    packs: Sequence[Sequence[int]], entries: Sequence[SampleEntry], text_lengths: Sequence[int], history: HistoryKind
) -> tuple[PackPlan, ...]:
    return tuple(
        PackPlan(tuple(entries[i] for i in pack), tuple(text_lengths[i] for i in pack), history) for pack in packs
    )


def first_fit(lengths: Int64[np.ndarray, " i"], tokens_per_pack: int) -> list[list[int]]:
    """Indices by pack: each sample goes into the first pack with room. Packs are in the order of their first sample."""
    room = np.empty(len(lengths), dtype=np.int64)
    packs: list[list[int]] = []
    first = 0
    shortest = int(lengths.min(initial=tokens_per_pack))
    for index, length in enumerate(lengths.tolist()):
        while first < len(packs) and room[first] < shortest:
            first += 1  # no sample fits into this pack any more
        fits = room[first : len(packs)] >= length
        pack = first + int(fits.argmax()) if len(fits) else len(packs)
        if pack == len(packs) or not fits[pack - first]:
            pack = len(packs)
            room[pack] = tokens_per_pack
            packs.append([])
        packs[pack].append(index)
        room[pack] -= length
    return packs


def deal(packs: Sequence[PackPlan], shares: int) -> list[list[int]]:
    """Indices of the packs of each data-parallel process: equal counts, about equal cost, in ascending order."""
    if len(packs) % shares:
        raise InputError(
            "stages.batch",
            len(packs),
            f"packs cannot be dealt evenly to {shares} data-parallel processes",
            f"use a multiple of {shares}",
        )
    costs = [estimated_cost(pack) for pack in packs]
    hands: list[list[int]] = [[] for _ in range(shares)]
    loads = [0.0] * shares
    for index in sorted(range(len(packs)), key=lambda i: (-costs[i], i)):
        open_hands = [share for share in range(shares) if len(hands[share]) < len(packs) // shares]
        share = min(open_hands, key=lambda s: (loads[s], s))
        hands[share].append(index)
        loads[share] += costs[index]
    return [sorted(hand) for hand in hands]


def estimated_cost(pack: PackPlan) -> float:
    """Cost of a pack in units of one token's matrix products: its tokens plus its attended pairs.

    The tokens of a frame attend to the text, the earlier frames (or their context tokens) and about two thirds of their
    own frame; context tokens attend to the text and to those up to their own frame. Attention windows are ignored.
    """
    pairs = 0.0
    for entry, text in zip(pack.entries, pack.text_lengths, strict=True):
        schedule = ScaleSchedule.named(entry.schedule)
        t, n, context = entry.num_frames, schedule.tokens_per_frame, schedule.context_tokens(pack.history)
        pairs += text * text + t * n * (text + 2 * n / 3) + (context or n) * (n + context) * t * (t - 1) / 2
        pairs += (t - 1) * context * text
    return pack.num_tokens + pairs / _PAIRS_PER_TOKEN


def _window_bounds(manifests: Sequence[Manifest], weights: Sequence[float]) -> tuple[Fraction, ...]:
    """Cumulative shares of the datasets as exact fractions: the first is 0, the last is 1."""
    total = sum(Fraction(weight).limit_denominator(10**6) for weight in weights)
    bounds = [Fraction(0)]
    for manifest, weight in zip(manifests, weights, strict=True):
        share = Fraction(weight).limit_denominator(10**6) / total if total > 0 else Fraction(0)
        if share * WINDOW < 1:
            raise InputError(
                "stages.mixture.weight",
                weight,
                f"gives {manifest.name} less than one sample in {WINDOW}",
                "raise it, or leave the dataset out",
            )
        if not len(manifest.entries):
            raise InputError("stages.mixture.dataset", manifest.name, "has no samples", "prepare it again")
        bounds.append(bounds[-1] + share)
    return tuple(bounds)


def _counts(bounds: Sequence[Fraction], number: int) -> list[int]:
    """The number of samples of each dataset before a window. Rounding cumulative shares keeps their sum exact."""
    edges = [int(number * WINDOW * bound) for bound in bounds]
    return [high - low for low, high in itertools.pairwise(edges)]


def _lengths(
    manifest: Manifest, texts: Int64[np.ndarray, " i"], tokens_per_pack: int, history: HistoryKind
) -> Int64[np.ndarray, " i"]:
    """Tokens of every sample. InputError if one is longer than a pack."""
    lengths = manifest.entries.video_tokens(history) + texts
    for index in np.flatnonzero(lengths > tokens_per_pack)[:1].tolist():
        entry = manifest.entries[index]
        raise InputError(
            "stages.tokens_per_pack",
            tokens_per_pack,
            f"is less than the {lengths[index]} tokens of sample {entry.key} of {manifest.name} "
            f"({entry.num_frames} latent frames of {entry.schedule}, {texts[index]} text tokens)",
            "raise it, or use shorter clips",
        )
    return lengths
