"""Base classes of your own models that see clips while they are planned: scores, captions, embeddings.

A class that says which clips there are is a `ClipLister` (`videoar.data_pipeline.sources.lister`).

A plug-in is an importable class that gets a local path. It should use no network, and run no code or pickle from a
model's folder: load weights with safetensors or `torch.load(weights_only=True)`; with transformers, set
`local_files_only=True`, and do not let a repository bring its own code.
"""

from __future__ import annotations

import abc
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.plugin_class import plugin_class
from videoar.data_pipeline.config.datasets import PluginConfig

FRAMES = 8
"""Most frames of a clip that a model sees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipView:
    """A clip as a model sees it."""

    frames: UInt8[np.ndarray, "f h w 3"]
    """RGB, evenly spaced over the clip, in the clip's own height and width."""
    caption: str
    """Empty if the clip has none."""
    source: str
    """Name of the source file."""
    start_s: float
    """Where the clip begins in it."""


class ClipModel:
    """A model that is made once, with the local path of its weights ("" if the configuration names none)."""

    def __init__(self, model: str) -> None:
        self.model = model


class ClipScorer(ClipModel, abc.ABC):
    """Gives each clip a number: aesthetics, overlaid text, or anything else."""

    @abc.abstractmethod
    def score(self, clips: Sequence[ClipView]) -> Sequence[float]:
        """One finite number per clip."""


class ClipCaptioner(ClipModel, abc.ABC):
    """Describes clips that have no caption."""

    @abc.abstractmethod
    def caption(self, clips: Sequence[ClipView]) -> Sequence[str]:
        """One text per clip."""


class ClipEmbedder(ClipModel, abc.ABC):
    """Maps clips to vectors such that near-duplicates have a cosine near 1."""

    @abc.abstractmethod
    def embed(self, clips: Sequence[ClipView]) -> Float32[np.ndarray, "b e"]:
        """One vector per clip; only its direction matters."""


def load_plugin(config: PluginConfig, kind: type[ClipModel]) -> Any:
    """The model that a configuration names. InputError if it is not of that kind, or its path does not exist."""
    if config.model and not Path(config.model).exists():
        raise InputError(f"{config.name}.model", config.model, "does not exist", "give a local folder or file")
    return plugin_class(f"{config.name}.plugin", config.plugin, kind)(config.model)


def model_hash(config: PluginConfig) -> str:
    """Sixteen hex digits from the names and bytes of a model's files: other weights make another plan."""
    digest = hashlib.sha256(config.plugin.encode())
    root = Path(config.model)
    files = [root] if root.is_file() else sorted(Path(f, n) for f, _, names in os.walk(root) for n in names)
    for path in files if config.model else []:
        digest.update(os.path.relpath(path, root).encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def checked_scores(name: str, scores: Sequence[float], count: int) -> list[float]:
    """A scorer's answer as numbers. InputError if it is not one finite number per clip."""
    found = [float(score) for score in scores]
    if len(found) != count or not all(math.isfinite(score) for score in found):
        raise InputError(name, found[:4], f"is not one finite score for each of {count} clips", "repair the plug-in")
    return found


def checked_captions(name: str, captions: Sequence[str], count: int) -> list[str]:
    """A captioner's answer, with single spaces. InputError if it is not one text per clip."""
    found = list(captions)
    if len(found) != count or not all(isinstance(caption, str) for caption in found):
        raise InputError(name, found[:4], f"is not one caption for each of {count} clips", "repair the plug-in")
    return [" ".join(caption.split()) for caption in found]


def checked_vectors(name: str, vectors: Float32[np.ndarray, "b e"], count: int) -> Float32[np.ndarray, "b e"]:
    """An embedder's answer as unit vectors. InputError if it is not one finite vector per clip."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
    if vectors.shape[0] != count or not np.isfinite(vectors).all() or not (lengths > 0).all():
        raise InputError(name, vectors.shape, f"is not one vector for each of {count} clips", "repair the plug-in")
    return (vectors / lengths).astype(np.float32)
