"""Asks the configured models about clips while they are planned. Each is loaded once; one thread uses it at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from videoar.data_pipeline.config.datasets import DatasetConfig, PluginConfig
from videoar.data_pipeline.decoding.client import ClipCut, VideoDecoder
from videoar.data_pipeline.planning.clip import Slot
from videoar.data_pipeline.planning.plugins import (
    FRAMES,
    ClipCaptioner,
    ClipEmbedder,
    ClipModel,
    ClipScorer,
    ClipView,
    checked_captions,
    checked_scores,
    checked_vectors,
    load_plugin,
    model_hash,
)
from videoar.data_pipeline.sources.source import Source

_CLIPS_A_BATCH = 16


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the models returned for a clip."""

    scores: tuple[tuple[str, float], ...] = ()
    """(name of the model, its score)."""
    caption: str = ""
    """Empty if the clip has a caption already, or no model writes one."""
    vector: Float32[np.ndarray, " e"] | None = None
    """Embedding of unit length; None without an embedder."""


class Models:
    """The loaded plug-ins of a dataset."""

    def __init__(self, dataset: DatasetConfig) -> None:
        scorers = dataset.filters.scores
        self._scorers: list[tuple[str, ClipScorer]] = [(config.name, _load(config, ClipScorer)) for config in scorers]
        self._captioner: ClipCaptioner | None = _load(dataset.captioner, ClipCaptioner)
        self._embedder: ClipEmbedder | None = _load(dataset.duplicates.embedding, ClipEmbedder)
        self._lock = threading.Lock()

    def are_needed(self, source: Source) -> bool:
        """Whether a source's frames must be shown to a model."""
        has_task = self._captioner is not None and not source.caption
        return bool(self._scorers) or self._embedder is not None or has_task

    def opinions(self, decoder: VideoDecoder, path: str, source: Source, slots: Sequence[Slot]) -> list[Opinion]:
        """The models' opinion of each slot (ordered by their ends), from one pass over the file."""
        found: list[Opinion] = [Opinion()] * len(slots)
        pairs = decoder.cut_all(path, [_sparse(slot) for slot in slots])
        while batch := list(itertools.islice(pairs, _CLIPS_A_BATCH)):
            views = [
                ClipView(frames=frames, caption=source.caption, source=source.name, start_s=slots[index].start_s)
                for index, frames in batch
            ]
            with self._lock:
                for (index, _), opinion in zip(batch, self._ask(views, source), strict=True):
                    found[index] = opinion
        return found

    def _ask(self, views: Sequence[ClipView], source: Source) -> Iterator[Opinion]:
        scores = [(name, checked_scores(name, model.score(views), len(views))) for name, model in self._scorers]
        captions, vectors = [""] * len(views), None
        if self._captioner is not None and not source.caption:
            captions = checked_captions("captioner", self._captioner.caption(views), len(views))
        if self._embedder is not None:
            vectors = checked_vectors("duplicates.embedding", self._embedder.embed(views), len(views))
        for i in range(len(views)):
            values = tuple((name, found[i]) for name, found in scores)
            yield Opinion(values, captions[i], None if vectors is None else vectors[i])


def model_hashes(dataset: DatasetConfig) -> dict[str, str]:
    """Hash of each model of a dataset, by its name: part of the settings that a plan was made with."""
    named = [*dataset.filters.scores, dataset.captioner, dataset.duplicates.embedding]
    return {config.name: model_hash(config) for config in named if config is not None}


def _load(config: PluginConfig | None, kind: type[ClipModel]) -> Any:
    return None if config is None else load_plugin(config, kind)


def _sparse(slot: Slot) -> ClipCut:
    """A few frames, from the first to the last of a clip."""
    count = min(FRAMES, slot.bucket.num_frames)
    span_s = slot.end_s - slot.start_s
    fps = (count - 1) / span_s if count > 1 else slot.fps
    return ClipCut(start_s=slot.start_s, num_frames=count, fps=fps, schedule=slot.bucket.schedule)
