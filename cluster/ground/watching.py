"""Which programs show a run's figures and pictures, in addition to the files in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from videoar.cluster.ground.fields.checks import check_fields


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchConfig:
    """Whether and where Weights & Biases and TensorBoard show a run."""

    wandb: Literal["off", "offline", "online"] = "off"
    """Log to Weights & Biases. `offline` needs no key and writes files for `wandb sync`; `online` needs
    `wandb login`."""
    wandb_project: str = "videoar"
    """Project of the run at Weights & Biases."""
    wandb_entity: str = ""
    """User or team that the project belongs to at Weights & Biases; empty: that of the key."""
    wandb_group: str = ""
    """Group in which Weights & Biases shows the run, for example the branches of one run; empty: none."""
    tensorboard: bool = False
    """Write figures, pictures and videos for TensorBoard, too: `tensorboard --logdir RUN/tensorboard` shows them. Needs
    the extra `tensorboard`."""

    def __post_init__(self) -> None:
        check_fields(self)
