"""Why a run does not train well: a run directory is checked for every common failure of such models.

Causes come before their symptoms, so the first failure is the likeliest reason for those after it. A check
turns `Evidence` into findings. It may import the engines, the sampler, the checkpoints and the data.
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

OF_DATA: tuple[Check, ...] = (
    data.datasets,
    data.tokenizer,
    data.schedules,
    data.text,
    data.text_encoder,
    data.bits,
    export.guidance,
)
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
OF_PROGRESS: tuple[Check, ...] = (storage.progress, storage.lines, storage.events)
OF_SPEED: tuple[Check, ...] = (
    speed.data_wait,
    speed.communication,
    speed.stragglers,
    speed.utilisation,
    speed.fill,
    speed.memory,
    speed.checkpoint_time,
)


OnCheck = Callable[[int, int, str], object]
"""Called with the number of finished checks, the number of all checks, and the name of the next one."""


def diagnose(
    run: Path,
    *,
    everything: bool = False,
    weights: Path | None = None,
    on_check: OnCheck = lambda done, total, name: None,
) -> Iterator[Finding]:
    """Yield what each check finds; nothing is changed.

    `everything` also hashes all checkpoints and compares training with inference, which loads the weights; `weights` is
    an export of the run. InputError if a folder is not a run or not an export.
    """
    evidence, exported = Evidence.read(run), read_config(weights) if weights is not None else None
    made = checks(evidence, everything=everything, exported=exported)
    for done, check in enumerate(made):
        on_check(done, len(made), _name(check))
        yield from check(evidence)
    on_check(len(made), len(made), "")


def _name(check: Check) -> str:
    """The name of a check, as words."""
    name: str = (check.func if isinstance(check, partial) else check).__name__
    return name.replace("_", " ")


def checks(evidence: Evidence, *, everything: bool, exported: ExportConfig | None) -> list[Check]:
    """The checks that apply: before the first recorded step only those of the data and the disk."""
    of_export: list[Check] = [partial(export.exported, config=exported)] if exported is not None else []
    if not evidence.records:
        return [*OF_DATA, *of_export, storage.lines, storage.events, storage.disk, nothing]
    inference: list[Check] = [deep.inference] if everything else []
    saved: list[Check] = [partial(storage.checkpoints, everything=everything), storage.disk, storage.moving_average]
    return [*OF_DATA, *of_export, *OF_CURVES, *inference, *OF_PROGRESS, *saved, *OF_SPEED]


def nothing(evidence: Evidence) -> Iterator[Finding]:
    """A run that never finished a step."""
    yield Finding(
        name="steps",
        state="fail",
        found="no step was recorded",
        remedy="read the trainer's error message, then start it again",
    )
