"""What one run of tokenizer training depends on."""

from __future__ import annotations

from dataclasses import dataclass, field

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.tokenizer.config import TokenizerConfig, TokenizerTrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How training clips of a tokenizer are varied."""

    zoom: float = 2.0
    """Crops show between the whole short side of a video and this fraction of it."""
    max_stride: int = 1
    """A clip takes every first, second, ... up to this many frames of the video."""
    flip: bool = True
    """Half of the clips are mirrored."""
    reverse: bool = False
    """Half of the clips run backwards."""
    contrast: float = 0.0
    """Up to this relative change of contrast, and half of it in the balance of colours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipShare:
    """A source's share of the clips a tokenizer trains on."""

    source: SourceConfig
    weight: float = 1.0
    """Relative to the other sources'."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerRecipe:
    """Everything one run of tokenizer training depends on."""

    name: str
    tokenizer: TokenizerConfig
    train: TokenizerTrainConfig
    clips: tuple[ClipShare, ...]
    """Videos (held in memory) and drawings that clips are cut from."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    threads: int = 0
    """Intra-op threads; 0 leaves the choice to torch."""

    def __post_init__(self) -> None:
        if not self.clips or any(share.weight <= 0 for share in self.clips):
            raise InputError("clips", len(self.clips), "hold no source of weight above 0", "name at least one source")
