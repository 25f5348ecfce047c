"""Fine-tuning: a new run begins with the weights of an export (`videoar train RECIPE --init WEIGHTS`).

Everything is checked before the first write. Then the first process writes a checkpoint of step 0, from which every
engine resumes as it always does, however the model is cut.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import as_option, differences, plain_word
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.checkpoint.fragment import Fragment, Place
from videoar.pretrain.checkpoint.saver import write_checkpoint
from videoar.pretrain.config import ModelConfig, Recipe
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.initial import initial_weight
from videoar.pretrain.model.pretrained import ExportConfig, find_export, load_weights, read_config
from videoar.pretrain.run_folder import checkpoints, record_event
from videoar.pretrain.start.resume import RunProgress, meta
from videoar.pretrain.start.run_checks import check_beginning
from videoar.tokenizer import open_tokenizer

_MAY_DIFFER = tuple(
    f"text.{name}" for name in ("kind", "max_tokens", "words", "num_classes", "width", "path", "encoder_hash")
)
"""Fields of the model in which a fine-tuned model may differ: how it reads a sample's caption or label."""
_BIT_LAYERS = ("input.weight", "head.out.weight")
"""The parameters that read and predict bits; they fit one tokenizer only."""
_GROUP_BYTES = 1 << 30
"""About this many bytes of weights are written at a time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedStart:
    """An export whose weights a new run begins with."""

    weights: Path
    config: ExportConfig
    loaded: tuple[str, ...]
    """Parameters that are taken over, unchanged."""
    new: Mapping[str, tuple[int, ...]]
    """Parameters that the export lacks, or has in another shape, with their shapes: they are drawn from the recipe's
    seed."""
    unused: tuple[str, ...]
    """Parameters of the export that the run does not use: those of another text side or shape."""
    other_tokenizer: bool
    """Whether the data has bits of another tokenizer: the layers that read and predict them are new."""


def find_weights(weights: Path, recipe: Recipe, folder: Path, *, other_tokenizer: bool = False) -> ExportedStart | None:
    """The export that a new run begins with; None if the run has begun with it already.

    InputError if its model differs from the recipe's, or if it has another tokenizer without `other_tokenizer`.
    """
    weights = find_export(weights).resolve()
    if not check_beginning(folder, recipe, str(weights), "init"):
        return None
    config = read_config(weights)
    _check_model(config, recipe, weights, other_tokenizer)
    if not recipe.data.url:
        _check_tokenizer(weights, config, open_tokenizer(recipe.tokenizer).hash, other_tokenizer)
    theirs, ours = _shapes(config.model), _shapes(recipe.model)
    same_text = all(getattr(config.model.text, name) == getattr(recipe.model.text, name) for name in ("kind", "words"))
    loaded = [name for name in ours if ours[name] == theirs.get(name) and (same_text or not name.startswith("text."))]
    if other_tokenizer:
        loaded = [name for name in loaded if name not in _BIT_LAYERS]
    new = {name: shape for name, shape in ours.items() if name not in set(loaded)}
    unused = tuple(name for name in theirs if name not in set(loaded))
    return ExportedStart(
        weights=weights, config=config, loaded=tuple(loaded), new=new, unused=unused, other_tokenizer=other_tokenizer
    )


def _check_model(config: ExportConfig, recipe: Recipe, weights: Path, other_tokenizer: bool) -> None:
    """InputError that names every field in which the recipe's model differs from the model of the weights."""
    may_differ = (*_MAY_DIFFER, "latent_dim") if other_tokenizer else _MAY_DIFFER
    found = differences(config.model, recipe.model)
    changed = {f"model.{path}": values for path, values in found.items() if path not in may_differ}
    if not changed:
        return
    (field, (theirs, ours)), *others = changed.items()
    more = "".join(f", nor is {name}={plain_word(here)} its {plain_word(there)}" for name, (there, here) in others)
    remedy = " ".join(as_option(name, there) for name, (there, _) in changed.items())
    raise InputError(field, plain_word(ours), f"is not the {plain_word(theirs)} of {weights}{more}", f"use {remedy}")


def check_data(start: ExportedStart, recipe: Recipe, datasets: dict[str, Manifest]) -> None:
    """InputError for data of another tokenizer, or captions of another encoder, than those of the weights."""
    _check_tokenizer(start.weights, start.config, next(iter(datasets.values())).tokenizer_hash, start.other_tokenizer)
    theirs, ours = start.config.model.text, recipe.model.text
    if theirs.kind == ours.kind == "t5" and theirs.encoder_hash != ours.encoder_hash:
        problem = f"is not the {theirs.encoder_hash} of {start.weights}"
        remedy = "prepare the captions with that encoder"
        raise InputError("model.text.encoder_hash", ours.encoder_hash, problem, remedy)


def begin_with(start: ExportedStart, recipe: Recipe, folder: Path, datasets: dict[str, Manifest]) -> None:
    """Write the checkpoint of step 0, and report what was loaded and what is new."""
    root, progress = checkpoints(folder, recipe), RunProgress()
    origin = start.config.provenance
    kind = "moving average" if origin.ema else "trained weights"
    taken = {"loaded": [*start.loaded], "new": [*start.new], "unused": [*start.unused]}
    facts: dict[str, Any] = {"of": origin.run, "of_step": origin.step, "average": origin.ema}
    record_event(folder, "begun_from", origin=str(start.weights), **taken, **facts)
    write_checkpoint(root, list(_shares(start, recipe)), meta(recipe, 0, datasets, progress))
    count = sum(math.prod(shape) for name, shape in _shapes(recipe.model).items() if name not in start.new)
    log.info(
        "init: %d tensors (%s parameters) are loaded from %s: the %s of run %s, step %d",
        *(len(start.loaded), f"{count:,}", start.weights, kind, origin.run or "unknown", origin.step),
    )
    for name, shape in start.new.items():
        log.info("init: %s %s is new", name, tuple(shape))
    for name in start.unused:
        log.info("init: %s of the export is not used", name)
    average = "; the moving average begins with these weights" if recipe.optimizer.ema_decay else ""
    log.info("init: the optimizer's state is new%s", average)


def _shares(start: ExportedStart, recipe: Recipe) -> Iterator[list[Fragment]]:
    """The state of step 0 in groups of parameters: masters and their average as loaded, moments of zero."""
    with torch.device("meta"):
        expected = VideoAR(start.config.model).state_dict()
    weights = load_weights(start.weights, expected)
    group: list[Fragment] = []
    size = 0
    for name, shape in _shapes(recipe.model).items():
        value = initial_weight(name, shape, recipe.model, recipe.seed) if name in start.new else weights.pop(name)
        group.append(_fragment(name, value.float(), average=recipe.optimizer.ema_decay > 0))
        size += 4 * value.numel()
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _fragment(name: str, value: Tensor, *, average: bool) -> Fragment:
    flat = value.reshape(-1)
    zeros = torch.zeros(1).expand(flat.numel())
    states = {"master": flat, "exp_avg": zeros, "exp_avg_sq": zeros} | ({"ema": flat} if average else {})
    return Fragment(Place(name, tuple(value.shape), None, 0, flat.numel()), states)


def _shapes(model: ModelConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in VideoAR(model).named_parameters()}


def _check_tokenizer(weights: Path, config: ExportConfig, found: str, other_tokenizer: bool) -> None:
    """InputError if the data has bits of another tokenizer without `other_tokenizer`: they would be noise to the
    weights."""
    if other_tokenizer and found == config.tokenizer_hash:
        problem = f"does not apply: {weights} already read the bits of this data's tokenizer"
        raise InputError("other_tokenizer", True, problem, "leave it out")
    if not other_tokenizer and found != config.tokenizer_hash:
        problem = f"reads bits of tokenizer {config.tokenizer_hash or 'none'}, and the data has those of {found}"
        own = f"prepare the data with its tokenizer: --data.tokenizer.path {weights / 'tokenizer'}"
        raise InputError("init", weights, problem, f"{own}; to learn these bits from scratch: --other-tokenizer")
