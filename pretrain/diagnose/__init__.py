"""Why a run does not do what it should: every common failure of the family, looked for in a run directory.

Causes stand before their symptoms, so the first failure is the likeliest reason for those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from videoar.cluster.ground.finding import Finding
from videoar.pretrain.diagnose import data, deep, export, gradients, learning, speed, storage
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.model.pretrained import ExportConfig, read_config

Check = Callable[[Evidence], Iterator[Finding]]

OF_DATA: tuple[Check, ...] = (data.datasets, data.tokenizer, data.schedules, data.text, data.text_encoder, data.bits)
OF_CURVES: tuple[Check, ...] = (
    data.flips,
    learning.first_loss,
    learning.learning_rate,
    gradients.skipped,
    gradients.norm,
    gradients.by_block,
    learning.learning,
    learning.by_scale,
    learning.by_frame,
    learning.plateau,
    learning.held_out,
)
OF_PROGRESS: tuple[Check, ...] = (storage.progress, storage.events)
OF_SPEED: tuple[Check, ...] = (
    speed.data_wait,
    speed.communication,
    speed.utilisation,
    speed.fill,
    speed.memory,
    speed.checkpoint_time,
)


def diagnose(run: Path, *, everything: bool = False, weights: Path | None = None) -> Iterator[Finding]:
    """What each check finds, as it is found; nothing is changed.

    `everything` hashes all checkpoints and holds training against inference, which loads the weights; `weights` is an
    export of the run. InputError where a folder is not what it should be.
    """
    evidence, exported = Evidence.read(run), read_config(weights) if weights is not None else None
    for check in checks(evidence, everything=everything, exported=exported):
        yield from check(evidence)


def checks(evidence: Evidence, *, everything: bool, exported: ExportConfig | None) -> list[Check]:
    """What can be looked at: without a step on record only the data and the disk."""
    of_export: list[Check] = [partial(export.exported, config=exported)] if exported is not None else []
    if not evidence.records:
        return [*OF_DATA, *of_export, storage.events, storage.disk, nothing]
    inference: list[Check] = [deep.inference] if everything else []
    saved: list[Check] = [partial(storage.checkpoints, everything=everything), storage.disk, storage.moving_average]
    return [*OF_DATA, *of_export, *OF_CURVES, *inference, *OF_PROGRESS, *saved, *OF_SPEED]


def nothing(evidence: Evidence) -> Iterator[Finding]:
    """A run that never came to a step."""
    yield Finding(
        name="steps", state="fail", found="no step is on record", remedy="see the trainer's own message; start it again"
    )
