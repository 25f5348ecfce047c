"""The interface of the training loop to its engines: one process (`plain.py`) or several (`pretrain/parallel`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float32
from torch import Tensor

from videoar.cluster.ground.process import World
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.config import ParallelConfig, StageConfig
from videoar.pretrain.engine.loss import Tally
from videoar.pretrain.model.attention.layout import PackLayout

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of one step, still on the device: the host reads it while the next step runs."""

    tally: Tally
    """Sums over the packs of this process's data rank."""
    grad_norm: Tensor
    """Gradient norm of the whole model before clipping."""
    applied: bool
    """False when the loss or a gradient was not finite: the weights did not change."""
    block_norms: Float32[Tensor, " blocks"] | None = None
    """Gradient norm of each of `block_names` before clipping; None if the loss was not finite."""
    peak_memory: int = 0
    """Largest memory use of any process so far, in bytes."""


class Engine(ABC):
    """Holds the model and its optimizer, cut over processes as the recipe says."""

    device: torch.device
    rank: int
    """Index of this process among all."""
    num_processes: int
    data_rank: int
    """Index of the share of a step's packs that this process reads."""
    data_size: int
    updates: int
    """Optimizer steps that were applied."""
    parallel: ParallelConfig
    """How one replica is cut over processes."""
    needs_content: bool = True
    """Whether this process computes with features or targets; False between the ends of a pipeline."""

    @abstractmethod
    def plan(self, layout: PackLayout) -> None:
        """Build the attention of a pack ahead of its step: the loader's thread calls this while the device computes."""

    @abstractmethod
    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        """Forward and backward over this process's packs, reduction, clipping, AdamW and the moving average.

        `num_frames` is N, the latent frames of the whole step over all processes (the loss unit).
        """

    @abstractmethod
    def evaluate(self, packs: Iterable[Pack], num_packs: int, num_frames: int) -> Tally:
        """Forward only, over this process's packs; the tally is summed over all data ranks."""

    @abstractmethod
    def total(self, tally: Tally) -> Tally:
        """The tally of the whole step: summed over data ranks."""

    @abstractmethod
    def agree(self, values: Sequence[int]) -> tuple[int, ...]:
        """The maximum of each value over all processes: a flag that one process sets is set for all."""

    @abstractmethod
    def gather(self, value: Value) -> list[Value] | None:
        """Every process's value on the first process, None on the others."""

    @abstractmethod
    def fragments(self) -> Iterable[Fragment]:
        """What this process writes into a checkpoint; each element of the state belongs to one process."""

    @abstractmethod
    def load(self, checkpoint: Checkpoint) -> None:
        """Fill what this process owns from a checkpoint, however the run that wrote it was cut.

        Call `share_weights` after every process has loaded.
        """

    def begin_stage(self, stage: StageConfig) -> None:  # noqa: B027
        """Called before the first step of a stage; engines that need the shapes of its packs override it."""

    def share_weights(self) -> None:  # noqa: B027
        """Called after every process has loaded: the model computes with the loaded weights, on all replicas."""

    def close(self) -> None:  # noqa: B027
        """Release what the engine shares with the other processes."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files that exist once in a run."""
        return self.rank == 0


def training_device(world: World) -> torch.device:
    """The device on which this process computes, with any engine."""
    return torch.device("cuda", world.local_rank) if torch.cuda.is_available() else torch.device("cpu")
