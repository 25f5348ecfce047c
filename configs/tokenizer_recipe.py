"""What a recipe for training a tokenizer holds; recipes for pretraining are `pretrain.config.Recipe`."""

from __future__ import annotations

from dataclasses import dataclass, field

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import AugmentConfig, SourceConfig
from videoar.tokenizer.config import TokenizerConfig, TokenizerTrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerRecipe:
    """Everything one run of `videoar tokenizer train` depends on."""

    name: str
    sources: tuple[SourceConfig, ...]
    """Where clips come from; every bucket of `train` draws from all of them."""
    tokenizer: TokenizerConfig
    train: TokenizerTrainConfig
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError("sources", "()", "hold no clip", "name at least one source")
