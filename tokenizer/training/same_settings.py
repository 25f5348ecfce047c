"""Checks that a resumed run has the settings that it was started with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import dotted, short
from videoar.cluster.ground.fields.overrides import also_changed, differences
from videoar.tokenizer.files import CONFIG
from videoar.tokenizer.training.config import TokenizerTrainConfig

WEIGHTS = "tokenizer"
"""Folder of the trained tokenizer within the run."""

MAY_CHANGE = ("log_every", "save_every", "show_every", "recompute")
"""Settings that a resumed run may change, because they change no result."""

Settings = TypeVar("Settings")


def deciding(train: TokenizerTrainConfig) -> TokenizerTrainConfig:
    """The settings with defaults in the fields that may change: the others decide the results."""
    defaults: dict[str, Any] = {
        field.name: field.default for field in dataclasses.fields(train) if field.name in MAY_CHANGE
    }
    return dataclasses.replace(train, **defaults)


def check_same(before: Settings, now: Settings, run: Path, place: str = "") -> None:
    """InputError for the fields that differ from what the run was started with; `place` precedes their names."""
    changed = {dotted(place, name): values for name, values in differences(before, now).items()}
    if changed:
        (field, (former, value)), *others = changed.items()
        problem = (
            f"differs from {short(former)}, which {run} was started with{also_changed(name for name, _ in others)}"
        )
        raise InputError(field, short(value), problem, _way_out(run, field))


def _way_out(run: Path, field: str) -> str:
    """What to do instead; a finished tokenizer can be trained further in another run, if it is of the same kind."""
    if field.startswith("tokenizer.") or not (run / WEIGHTS / CONFIG).is_file():
        return "give another --run, or the settings of this one"
    return f"to train this tokenizer further, give another --run and --train.inflate-from {run / WEIGHTS}"
