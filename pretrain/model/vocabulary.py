"""From a caption or a label to token ids: the text at the start of a sample's sequence.

A T5 encoder's states need more than this: they are prepared with the data (`data_pipeline.text.states`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import OneOrMore
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.pretrain.config import TextConfig

NULL_TOKEN = 0
"""The one token of an empty caption, so that every sample has text (m >= 1)."""

_ID_OF_BYTE = np.arange(1, 257, dtype=np.int64)
"""Id of each byte value: for texts of this length a look-up takes half as long as an addition."""


@runtime_checkable
class Conditions(Protocol):
    """The samples of a dataset, with their captions' lengths and labels as columns."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> SampleEntry: ...

    def caption_bytes(self) -> Int64[np.ndarray, " i"]:
        """UTF-8 bytes of every caption."""
        ...

    def captions(self) -> tuple[list[str], Int64[np.ndarray, " i"]]:
        """The different captions, and for each sample the index of its caption."""
        ...

    def labels(self) -> Int64[np.ndarray, " i"]:
        """Every label; -1 for a sample without one."""
        ...


@dataclass(frozen=True, slots=True)
class BytesText:
    """The caption's UTF-8: id 1 + byte; an empty caption is the one null token 0. Longer captions are cut."""

    max_tokens: OneOrMore
    in_memory: ClassVar[bool] = True
    vocab_size: ClassVar[int] = 1 + 256

    def __post_init__(self) -> None:
        check_fields(self)

    def length(self, entry: SampleEntry) -> int:
        return min(max(1, len(entry.caption.encode())), self.max_tokens)

    def lengths(self, entries: Conditions) -> Int64[np.ndarray, " i"]:
        return np.clip(entries.caption_bytes(), 1, self.max_tokens)

    def tokens(self, entry: SampleEntry) -> Int64[np.ndarray, " m"]:
        return self.encode(entry.caption)

    def whole_length(self, text: str) -> int:
        """Tokens of a caption before it is cut."""
        return len(text.encode())

    def encode(self, text: str | int) -> Int64[np.ndarray, " m"]:
        raw = np.frombuffer(caption_of(text).encode()[: self.max_tokens], dtype=np.uint8)
        return _ID_OF_BYTE.take(raw) if raw.size else np.array([NULL_TOKEN], dtype=np.int64)


_PIECE = re.compile(r"\w+|[^\w\s]")
"""A word, or a single mark."""


@dataclass(frozen=True, slots=True)
class WordsText:
    """One token for each known word or mark, in capitals or not: id 257 + its place in the list.

    Everything else is read as bytes (`BytesText`), each piece followed by a space. Longer captions are cut.
    """

    max_tokens: OneOrMore
    words: tuple[str, ...]
    in_memory: ClassVar[bool] = True
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {word.lower(): BytesText.vocab_size + place for place, word in enumerate(self.words)}
        object.__setattr__(self, "_ids", ids)
        check_fields(self)

    @property
    def vocab_size(self) -> int:
        return BytesText.vocab_size + len(self.words)

    def length(self, entry: SampleEntry) -> int:
        return len(self.encode(entry.caption))

    def lengths(self, entries: Conditions) -> Int64[np.ndarray, " i"]:
        captions, which = entries.captions()
        return np.array([len(self.encode(caption)) for caption in captions], dtype=np.int64)[which]

    def tokens(self, entry: SampleEntry) -> Int64[np.ndarray, " m"]:
        return self.encode(entry.caption)

    def whole_length(self, text: str) -> int:
        """Tokens of a caption before it is cut."""
        return len(self._all(text))

    def unknown(self, text: str) -> list[str]:
        """Words of a text that are not in the list; marks are left out."""
        pieces = dict.fromkeys(_PIECE.findall(text))
        return [piece for piece in pieces if piece[0].isalnum() and piece.lower() not in self._ids]

    def encode(self, text: str | int) -> Int64[np.ndarray, " m"]:
        return np.array(self._all(caption_of(text))[: self.max_tokens] or [NULL_TOKEN], dtype=np.int64)

    def _all(self, text: str) -> list[int]:
        tokens: list[int] = []
        for piece in _PIECE.findall(text):
            known = self._ids.get(piece.lower())
            tokens += [1 + byte for byte in f"{piece} ".encode()] if known is None else [known]
        return tokens


def caption_of(text: str | int) -> str:
    """A caption. InputError if it is a label."""
    if isinstance(text, str):
        return text
    raise InputError("label", text, "is not a caption, and this model reads captions", "give a prompt")


@dataclass(frozen=True, slots=True)
class LabelText:
    """One token for each class."""

    num_classes: int
    in_memory: ClassVar[bool] = True

    @property
    def vocab_size(self) -> int:
        return self.num_classes

    def length(self, entry: SampleEntry) -> int:
        return len(self.tokens(entry))

    def lengths(self, entries: Conditions) -> Int64[np.ndarray, " i"]:
        labels = entries.labels()
        wrong = np.flatnonzero((labels < 0) | (labels >= self.num_classes))
        if wrong.size:
            self.tokens(entries[int(wrong[0])])  # its error names the sample or the label
        return np.ones(len(entries), dtype=np.int64)

    def tokens(self, entry: SampleEntry) -> Int64[np.ndarray, " m"]:
        if entry.label is None:
            raise InputError(
                "model.text.kind",
                "label",
                f"needs a label, and sample {entry.key} of {entry.dataset} has none",
                "add a label column to the captions table, or use bytes",
            )
        return self.encode(entry.label)

    def encode(self, text: str | int) -> Int64[np.ndarray, " m"]:
        if not isinstance(text, int) or not 0 <= text < self.num_classes:
            raise InputError(
                "label", text, "is not one of the classes", f"use a number from 0 to {self.num_classes - 1}"
            )
        return np.array([text], dtype=np.int64)


TableText = BytesText | WordsText | LabelText
"""What makes token ids, which the model embeds by a table."""


def text_tokens(config: TextConfig) -> TableText:
    """How captions or labels become the token ids that the model embeds."""
    assert config.kind != "t5", "states are prepared with the data, or encoded by the encoder itself"
    if config.kind == "label":
        return LabelText(config.num_classes)
    return WordsText(config.max_tokens, config.words) if config.kind == "words" else BytesText(config.max_tokens)


def text_length(config: TextConfig) -> int:
    """The largest number of text tokens that a sample can have; a label is one."""
    return 1 if config.kind == "label" else config.max_tokens
