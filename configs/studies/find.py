"""A study by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

import videoar.configs.studies
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.study.definition import Study


def study_names() -> tuple[str, ...]:
    """Every module of configs/studies/ that has a `study()`."""
    package = videoar.configs.studies
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(name for name in names if hasattr(importlib.import_module(f"{package.__name__}.{name}"), "study"))


def find_study(name: str, tokenizer: str = "", steps: int | None = None) -> Study:
    """The study of this name, with another tokenizer or number of steps if they are given."""
    names = study_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(names)}"
        raise InputError("NAME", name, "is not a study in configs/studies/", remedy)
    place = str(Path(tokenizer).resolve()) if Path(tokenizer).is_dir() and tokenizer else tokenizer
    study: Study = importlib.import_module(f"{videoar.configs.studies.__name__}.{name}").study(place)
    return study if steps is None else _with_steps(study, steps)


def _with_steps(study: Study, steps: int) -> Study:
    """Every arm with this number of steps in its last stage."""
    arms = []
    for arm in study.arms:
        *before, last = arm.recipe.stages
        recipe = replace(arm.recipe, stages=(*before, replace(last, steps=steps)))
        arms.append(replace(arm, recipe=recipe))
    return replace(study, arms=tuple(arms))
