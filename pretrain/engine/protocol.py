"""What the training loop asks of an engine, plain or sharded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor

from videoar.cluster.ground.process import World
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.config import ParallelConfig, StageConfig
from videoar.pretrain.engine.loss import Tally

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step tells, still on the device: the host reads it while the next step runs."""

    tally: Tally
    """Over the packs of this process's data rank."""
    grad_norm: Tensor
    """Before clipping, over the whole model."""
    applied: bool
    """False when the loss or a gradient was not finite: the weights are as they were."""
    block_norms: Float32[Tensor, " blocks"] | None = None
    """Before clipping, by `block_names`; None where the loss was not finite."""
    peak_memory: int = 0
    """Bytes, the highest over all processes so far."""


@runtime_checkable
class Engine(Protocol):
    """Holds the model and its optimizer, cut as the recipe asks."""

    device: torch.device
    rank: int
    """Of this process among all."""
    num_processes: int
    data_rank: int
    """Which share of a step's packs this process reads."""
    data_size: int
    updates: int
    """Optimizer steps that were applied."""
    layout: ParallelConfig
    """How a replica is cut here."""
    needs_content: bool = True
    """Whether this process computes with features or targets; False between the ends of a pipeline."""

    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        """Forward and backward over this process's packs, reduction, clipping, AdamW and the moving average.

        `num_frames` is N, the latent frames of the whole step over all processes (the loss unit).
        """

    def begin_stage(self, stage: StageConfig) -> None:
        """Learn the shapes of the packs to come, where that matters."""
        return

    def evaluate(self, packs: Iterable[Pack], num_packs: int, num_frames: int) -> Tally:
        """Forward only, over this process's packs; the tally is that of all data ranks."""
        ...

    def total(self, tally: Tally) -> Tally:
        """The tally of the whole step: summed over data ranks."""

    def agree(self, values: Sequence[int]) -> tuple[int, ...]:
        """Each value at its highest over all processes: flags that one process sets hold for all."""

    def gather(self, value: Value) -> list[Value] | None:
        """Every process's value on the first process, None elsewhere."""

    def broadcast(self, value: Value) -> Value:
        """The first process's value, everywhere."""

    def fragments(self) -> Iterable[Fragment]:
        """What this process writes into a checkpoint; each element of the state is one process's."""

    def load(self, checkpoint: Checkpoint) -> None:
        """Fill what this process owns from a checkpoint of any layout; `share_weights` follows once all have."""

    def share_weights(self) -> None:
        """After every process has loaded: the model computes with the loaded weights, on all replicas."""
        return

    def close(self) -> None:
        """Leave the other processes."""

    @property
    def is_first(self) -> bool:
        """True for the one process that writes what is not cut."""
        return self.rank == 0


def training_device(world: World) -> torch.device:
    """Where this process computes, whatever its engine."""
    return torch.device("cuda", world.local_rank) if torch.cuda.is_available() else torch.device("cpu")
