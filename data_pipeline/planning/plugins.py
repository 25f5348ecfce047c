"""Models of yours that look at clips while they are planned: scores, captions, embeddings.

A plug-in is a class that is installed or importable, and is given a local path: no network, no code or pickle out of a
model's folder. Load weights with safetensors or `torch.load(weights_only=True)`; with transformers set
`local_files_only=True`, and let no repository bring code of its own.
"""

from __future__ import annotations

import abc
import hashlib
import importlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import PluginConfig

FRAMES = 8
"""Frames of a clip that a model sees, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipView:
    """What a model sees of a clip."""

    frames: UInt8[np.ndarray, "f h w 3"]
    """RGB, evenly spaced over the clip, in the clip's own shape."""
    caption: str
    source: str
    start_s: float


class ClipModel:
    """A model that is made once, with the local path of its weights ("" where the configuration names none)."""

    def __init__(self, model: str) -> None:
        self.model = model


class ClipScorer(ClipModel, abc.ABC):
    """Aesthetics, overlaid text, or whatever a number can say of a clip."""

    @abc.abstractmethod
    def score(self, clips: Sequence[ClipView]) -> Sequence[float]:
        """One finite number a clip."""


class ClipCaptioner(ClipModel, abc.ABC):
    """Describes clips that come without a caption."""

    @abc.abstractmethod
    def caption(self, clips: Sequence[ClipView]) -> Sequence[str]:
        """One text a clip."""


class ClipEmbedder(ClipModel, abc.ABC):
    """Places clips so that near-duplicates lie close together."""

    @abc.abstractmethod
    def embed(self, clips: Sequence[ClipView]) -> Float32[np.ndarray, "b e"]:
        """One vector a clip; only its direction counts."""


def load_plugin(config: PluginConfig, kind: type[ClipModel]) -> Any:
    """The model of that kind that a configuration names. InputError when it is none, or its path is not there."""
    module_name, colon, class_name = config.plugin.partition(":")
    if not colon or not class_name.isidentifier() or not module_name.replace(".", "_").isidentifier():
        raise InputError(
            f"{config.name}.plugin", config.plugin, "is not written `package.module:Class`", "name a class"
        )
    if config.model and not Path(config.model).exists():
        raise InputError(f"{config.name}.model", config.model, "is not there", "give a local folder or file")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{config.name}.plugin", config.plugin, f"cannot be imported ({error})", "install it"
        ) from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise InputError(
            f"{config.name}.plugin",
            config.plugin,
            f"is no {kind.__name__}",
            f"derive it from videoar.data_pipeline.planning.plugins.{kind.__name__}",
        )
    return found(config.model)


def model_hash(config: PluginConfig) -> str:
    """Sixteen hex digits of the names and bytes of a model's files: other weights make another plan."""
    digest = hashlib.sha256(config.plugin.encode())
    root = Path(config.model)
    files = [root] if root.is_file() else sorted(Path(f, n) for f, _, names in os.walk(root) for n in names)
    for path in files if config.model else []:
        digest.update(os.path.relpath(path, root).encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def checked_scores(name: str, scores: Sequence[float], count: int) -> list[float]:
    """A scorer's answer as numbers. InputError when it is not one finite number a clip."""
    found = [float(score) for score in scores]
    if len(found) != count or not all(math.isfinite(score) for score in found):
        raise InputError(name, found[:4], f"is not one finite score for each of {count} clips", "repair the plug-in")
    return found


def checked_captions(name: str, captions: Sequence[str], count: int) -> list[str]:
    """A captioner's answer. InputError when it is not one text a clip."""
    found = list(captions)
    if len(found) != count or not all(isinstance(caption, str) for caption in found):
        raise InputError(name, found[:4], f"is not one caption for each of {count} clips", "repair the plug-in")
    return [" ".join(caption.split()) for caption in found]


def checked_vectors(name: str, vectors: Float32[np.ndarray, "b e"], count: int) -> Float32[np.ndarray, "b e"]:
    """An embedder's answer as unit vectors. InputError when it is not one finite vector a clip."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
    if vectors.shape[0] != count or not np.isfinite(vectors).all() or not (lengths > 0).all():
        raise InputError(name, vectors.shape, f"is not one vector for each of {count} clips", "repair the plug-in")
    return (vectors / lengths).astype(np.float32)
