"""Copies a checkpoint from one run to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, commit, point, step_name


def copy_checkpoint(source: Storage, target: Storage, step: int, changes: Mapping[str, Any]) -> None:
    """Copy the checkpoint of a step, with other values in its `meta`; each file is compared with its hash.

    Complete or absent, like every checkpoint; CorruptCheckpoint if the source is damaged.
    """
    saved = Checkpoint(source.child(step_name(step)))
    for name in saved.part.files:
        target.write(f"{step_name(step)}/{name}", saved.content(name))
    commit(target, [saved.part], {**saved.meta, **changes})
    point(target, step)
