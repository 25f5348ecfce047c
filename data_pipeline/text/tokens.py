"""From a caption or a label to token ids: the prefix of a sample's sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Shaped
from pyarrow import compute

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.sample import SampleEntry

NULL_TOKEN = 0
"""Stands for an empty caption, so that every sample has a prefix (m >= 1)."""

_ID_OF_BYTE = np.arange(1, 257, dtype=np.int64)
"""A look-up takes half as long as adding one to so few numbers."""


@runtime_checkable
class TextTokens(Protocol):
    """How a condition becomes token ids. Lengths are known from the manifest alone, so packs can be planned."""

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to vocab_size - 1."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether `tokens` reads nothing from a disk or a store."""
        ...

    def length(self, entry: SampleEntry) -> int:
        """Tokens m of a sample, at least 1, without making them."""
        ...

    def lengths(self, entries: Entries) -> Int64[np.ndarray, " i"]:
        """`length` of every sample of a manifest."""
        ...

    def tokens(self, entry: SampleEntry) -> Shaped[np.ndarray, "m ..."]:
        """Token ids, or an encoder's states, of a sample of the manifest."""
        ...

    def encode(self, text: str | int) -> Shaped[np.ndarray, "m ..."]:
        """The same of a prompt or a label that a person gives."""
        ...


@dataclass(frozen=True, slots=True)
class BytesText:
    """The caption's UTF-8: id 1 + byte; an empty caption is the one null token 0. Longer captions are cut."""

    max_tokens: int
    in_memory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError("model.text.max_tokens", self.max_tokens, "leaves no token", "use 1 or more")

    @property
    def vocab_size(self) -> int:
        return 1 + 256

    def length(self, entry: SampleEntry) -> int:
        return min(max(1, len(entry.caption.encode())), self.max_tokens)

    def lengths(self, entries: Entries) -> Int64[np.ndarray, " i"]:
        size_bytes = compute.binary_length(entries.column("caption")).to_numpy()
        return np.clip(size_bytes, 1, self.max_tokens).astype(np.int64)

    def tokens(self, entry: SampleEntry) -> Int64[np.ndarray, " m"]:
        return self.encode(entry.caption)

    def encode(self, text: str | int) -> Int64[np.ndarray, " m"]:
        if not isinstance(text, str):
            raise InputError("label", text, "is no caption, which this model is conditioned on", "give a prompt")
        raw = np.frombuffer(text.encode()[: self.max_tokens], dtype=np.uint8)
        return _ID_OF_BYTE.take(raw) if raw.size else np.array([NULL_TOKEN], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LabelText:
    """One token a class."""

    num_classes: int
    in_memory: ClassVar[bool] = True

    @property
    def vocab_size(self) -> int:
        return self.num_classes

    def length(self, entry: SampleEntry) -> int:
        return len(self.tokens(entry))

    def lengths(self, entries: Entries) -> Int64[np.ndarray, " i"]:
        labels = entries.column("label")
        valid = compute.and_(compute.greater_equal(labels, 0), compute.less(labels, self.num_classes))
        wrong = compute.index(compute.fill_null(valid, False), False).as_py()
        if wrong >= 0:
            self.tokens(entries[wrong])  # which says what is wrong
        return np.ones(len(entries), dtype=np.int64)

    def tokens(self, entry: SampleEntry) -> Int64[np.ndarray, " m"]:
        if entry.label is None:
            raise InputError(
                "model.text.kind",
                "label",
                f"needs a label, and sample {entry.key} of {entry.dataset} has none",
                "add a label column to the captions table or use bytes",
            )
        return self.encode(entry.label)

    def encode(self, text: str | int) -> Int64[np.ndarray, " m"]:
        if not isinstance(text, int) or not 0 <= text < self.num_classes:
            raise InputError("label", text, "is none of the classes", f"use a number from 0 to {self.num_classes - 1}")
        return np.array([text], dtype=np.int64)
