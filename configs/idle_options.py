"""Refuses options that would do nothing: many fields of a recipe have an effect only together with another field.

A user who types such an option alone believes that it works. Only typed options are refused (and validation without
datasets): recipes and saved files may set a field for the case that the other one is switched on later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import paths_of
from videoar.data_pipeline.config.datasets import DatasetConfig, DuplicateConfig, ShotConfig, SourceConfig
from videoar.pretrain.config import (
    CorrectionConfig,
    FaultConfig,
    LogConfig,
    ModelConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.training.config import AdversarialConfig, TokenizerLossConfig

if TYPE_CHECKING:
    from videoar.configs.load import AnyRecipe


@dataclass(frozen=True, slots=True)
class Dependence:
    """Fields that have an effect only if their configuration fulfils a condition."""

    part: type
    names: tuple[str, ...]
    holds: Callable[[Any], object]
    condition: str
    """The condition in words, as an imperative."""

    def forbids(self, config: object, name: str) -> bool:
        """Whether a field of this configuration has no effect; `name` is dotted if the field is in a nested part."""
        return isinstance(config, self.part) and name in self.names and not self.holds(config)


DEPENDENCES = (
    Dependence(Recipe, ("loader.online_cache_bytes",), lambda recipe: recipe.data.online, "set data.online=true"),
    Dependence(
        DatasetConfig,
        ("captioner.minimum", "captioner.maximum", "duplicates.embedding.minimum", "duplicates.embedding.maximum"),
        lambda _: False,
        "name a model that scores under filters.scores",
    ),
    Dependence(
        Recipe, ("guidance", "continued_guidance"), lambda recipe: recipe.text_dropout, "set text_dropout above 0"
    ),
    Dependence(TextConfig, ("num_classes",), lambda text: text.kind == "label", "set model.text.kind=label"),
    Dependence(
        TextConfig, ("max_tokens",), lambda text: text.kind != "label", "set another model.text.kind than label"
    ),
    Dependence(TextConfig, ("words",), lambda text: text.kind == "words", "set model.text.kind=words"),
    Dependence(TextConfig, ("path", "width", "encoder_hash"), lambda text: text.kind == "t5", "set model.text.kind=t5"),
    Dependence(
        ModelConfig, ("max_frames", "max_side"), lambda model: model.rope == "learned", "set model.rope=learned"
    ),
    Dependence(
        ModelConfig, ("rope_base",), lambda model: model.rope != "learned", "set another model.rope than learned"
    ),
    Dependence(
        CorrectionConfig,
        ("inheritance", "targets", "p_min", "p_max", "ceiling"),
        lambda correction: correction.corruption != "off",
        "set correction.corruption=time or constant",
    ),
    Dependence(
        CorrectionConfig,
        ("delta",),
        lambda correction: correction.corruption == "time",
        "set correction.corruption=time",
    ),
    Dependence(
        OptimizerConfig,
        ("final_fraction",),
        lambda optimizer: optimizer.schedule == "cosine",
        "set optimizer.schedule=cosine",
    ),
    Dependence(
        ParallelConfig, ("context_method",), lambda parallel: parallel.context > 1, "set parallel.context=2 or more"
    ),
    Dependence(ParallelConfig, ("sequence",), lambda parallel: parallel.tensor > 1, "set parallel.tensor=2 or more"),
    Dependence(
        StageConfig, ("plateau_delta",), lambda stage: stage.plateau_patience, "set plateau_patience of the stage"
    ),
    Dependence(
        LogConfig,
        ("validation",),
        lambda log: log.validate_every or log.sample_every or not log.validation,
        "set log.validate_every",
    ),
    Dependence(LogConfig, ("num_samples",), lambda log: log.sample_every, "set log.sample_every"),
    Dependence(
        FaultConfig, ("spike_window", "rewind_budget"), lambda faults: faults.spike_factor, "set faults.spike_factor"
    ),
    Dependence(SourceConfig, ("num_clips", "seed"), lambda source: source.is_drawn, "set source.kind=shapes or world"),
    Dependence(
        AdversarialConfig,
        ("balance", "start_step", "lecam", "lecam_decay", "discriminator", "channels", "layers", "rate_factor"),
        lambda adversarial: adversarial.weight,
        "set train.adversarial.weight above 0",
    ),
    Dependence(
        AdversarialConfig,
        ("lecam_decay",),
        lambda adversarial: adversarial.lecam,
        "set train.adversarial.lecam above 0",
    ),
    Dependence(
        TokenizerLossConfig, ("perceptual_weights",), lambda loss: loss.perceptual, "set train.loss.perceptual above 0"
    ),
    Dependence(
        SourceConfig,
        ("path", "follow_links", "start_fraction", "end_fraction"),
        lambda source: not source.is_drawn,
        "set another source.kind than shapes or world",
    ),
    Dependence(SourceConfig, ("split", "subset"), lambda source: source.kind == "ucf101", "set source.kind=ucf101"),
    Dependence(SourceConfig, ("plugin",), lambda source: source.kind == "plugin", "set source.kind=plugin"),
    Dependence(ShotConfig, ("threshold", "min_shot_s"), lambda shots: shots.detector != "off", "set shots.detector"),
    Dependence(DuplicateConfig, ("max_bits",), lambda found: found.method == "hash", "set duplicates.method=hash"),
    Dependence(
        DuplicateConfig, ("min_cosine",), lambda found: found.method == "embedding", "set duplicates.method=embedding"
    ),
)


def refuse_idle_options(named: AnyRecipe, recipe: AnyRecipe, flags: Iterable[str]) -> None:
    """InputError for the first typed option that has no effect in `recipe`, which is `named` with the options applied.

    Validation without datasets is refused in files, too: a run of weeks would have no held-out curve.
    """
    if isinstance(recipe, Recipe) and recipe.log.validate_every and not recipe.log.validation:
        raise _idle("log.validate_every", recipe.log.validate_every, "set log.validation")
    for flag in flags:
        idle = [_broken(recipe, path.split(".")) for path in paths_of(named, flag)]
        if all(rules for rules, _ in idle):
            (rule, *_), value = idle[0]
            raise _idle(flag.replace("-", "_"), value, rule.condition)


def _broken(recipe: AnyRecipe, segments: Sequence[str]) -> tuple[list[Dependence], Any]:
    """The rules by which the field at a path has no effect, and its value."""
    config: Any = recipe
    broken: list[Dependence] = []
    for depth, segment in enumerate(segments):
        broken += [rule for rule in DEPENDENCES if rule.forbids(config, ".".join(segments[depth:]))]
        config = _step(config, segment)
    return broken, config


def _idle(field: str, value: object, condition: str) -> InputError:
    return InputError(field, value, "has no effect in this recipe", f"leave it out, or {condition}")


def _step(config: Any, segment: str) -> Any:
    return config[int(segment)] if isinstance(config, tuple) else getattr(config, segment)
