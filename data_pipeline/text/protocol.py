"""What planning and loading need of a text: its length from the manifest, and its token ids.

`pretrain.model.vocabulary` implements it for captions and labels, `states` for a text encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Shaped

from videoar.data_pipeline.shards.sample import SampleEntry

if TYPE_CHECKING:
    from videoar.data_pipeline.shards.entries import (
        Entries,
    )  # needs pyarrow, which may be missing where only a model runs


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
        """Token ids, or an encoder's states, of a prompt or a label that the user gives."""
        ...
