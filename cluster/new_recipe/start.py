"""Trained weights from which a recipe starts, instead of a new model."""

from __future__ import annotations

from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model.pretrained import find_export, read_config, tokenizer_folder, weight_files
from videoar.tokenizer.config import TokenizerSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a recipe takes over from an export."""

    weights: str
    """As `train --init` takes them."""
    model: ModelConfig
    tokenizer: TokenizerSource
    guidance: str
    continued_guidance: str


def start_from(weights: str) -> Start:
    """The model and the tokenizer of an export. InputError if it has no tokenizer, was trained on labels, which a
    folder of clips lacks, or lists files of weights that no export wrote.
    """
    folder = find_export(weights)
    config = read_config(folder)
    if config.model.text.kind == "label":
        problem = "was trained on class numbers, which a folder of clips does not have"
        raise InputError("init", weights, problem, "use weights that were trained on captions")
    if not config.tokenizer_hash:
        raise InputError("init", weights, "has no tokenizer", "export the run again, with its tokenizer")
    weight_files(folder)
    path = config.shipped_tokenizer or str(tokenizer_folder(folder, config))
    return Start(
        weights=weights,
        model=config.model,
        tokenizer=TokenizerSource(path=path),
        guidance=config.guidance,
        continued_guidance=config.continued_guidance,
    )
