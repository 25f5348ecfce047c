"""One optimizer step: what every engine offers the loop, and the plain one for a single process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor

from videoar.cluster.process import World
from videoar.pretrain.checkpoint import Checkpoint
from videoar.pretrain.config import ParallelConfig, Recipe, StageConfig
from videoar.pretrain.fragment import Fragment
from videoar.pretrain.gradients import BlockSums
from videoar.pretrain.inputs import Pack
from videoar.pretrain.loss import Tally, bitwise_loss
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention.reference import reference_attention
from videoar.pretrain.model.layers import Block
from videoar.pretrain.optim import adamw
from videoar.pretrain.profile import peak_memory
from videoar.pretrain.recompute import recompute
from videoar.pretrain.state import fragments, load, moving_average, plain_holdings

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


def forward_loss(model: VideoAR, pack: Pack, num_frames: int) -> tuple[Tensor, Tally]:
    """This pack's part of the step loss: the sum of a_s x the mean over bits, over N; and its tally."""
    mask = pack.layout.dense_mask().to(pack.weights.device)
    loss, tally = bitwise_loss(model(pack.inputs, reference_attention(mask)), pack)
    return loss / num_frames, tally


class PlainEngine(Engine):
    """One process, plain PyTorch: what every sharded engine must equal."""

    rank, num_processes, data_rank, data_size = 0, 1, 0, 1

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.device = device
        self._recipe = recipe
        self.layout = recipe.parallel
        self.model = VideoAR(recipe.model)
        init_weights(self.model, recipe.seed)
        self.model.to(device)
        prepare_blocks(self.model, recipe.parallel)
        self._optimizer = adamw(self.model.named_parameters(), recipe.optimizer)
        self._holdings = plain_holdings(self.model, self._optimizer)
        self._ema = moving_average(self._holdings, recipe.optimizer.ema_decay)
        self._block_sums = BlockSums(
            [name for name, _ in self.model.named_parameters()], recipe.model.num_layers, device
        )
        self.updates = 0

    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        tallies = []
        for pack in packs:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
                loss, tally = forward_loss(self.model, pack, num_frames)
            loss.backward()
            tallies.append(tally)
        norm, by_block = self._clip()
        applied = bool(torch.isfinite(norm))
        if applied:
            self._apply(learning_rate)
        self._optimizer.zero_grad(set_to_none=True)
        tally = sum(tallies, start=Tally.empty(self.device))
        return StepResult(tally, norm, applied, by_block, peak_memory())

    def _clip(self) -> tuple[Float32[Tensor, ""], Float32[Tensor, " blocks"]]:
        """The norms, of the whole gradient and by block; the gradient is scaled down to the recipe's limit."""
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        norm = torch.linalg.vector_norm(norms)
        torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), self._recipe.optimizer.clip_norm, norm)
        return norm, self._block_sums.squares(norms).sqrt()

    @torch.no_grad()
    def evaluate(self, packs: Iterable[Pack], num_packs: int, num_frames: int) -> Tally:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            tallies = [forward_loss(self.model, pack, num_frames)[1] for pack in packs]
        return sum(tallies, start=Tally.empty(self.device))

    def _apply(self, learning_rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self.updates += 1
        if self._ema is not None:
            self._ema.update(self.updates)

    def total(self, tally: Tally) -> Tally:
        return tally

    def agree(self, values: Sequence[int]) -> tuple[int, ...]:
        return tuple(values)

    def gather(self, value: Value) -> list[Value] | None:
        return [value]

    def broadcast(self, value: Value) -> Value:
        return value

    def fragments(self) -> Iterable[Fragment]:
        return fragments(self._holdings, self._ema)

    def load(self, checkpoint: Checkpoint) -> None:
        load(self._holdings, self._ema, checkpoint)
        self.updates = checkpoint.meta["updates"]

    def close(self) -> None:
        pass


def prepare_blocks(model: VideoAR, layout: ParallelConfig) -> None:
    """Recomputation and compilation, applied to the blocks from outside."""
    for block in model.blocks:
        if layout.compile and isinstance(block, Block):
            block.compile(dynamic=False)
        if layout.recompute != "none" and isinstance(block, Block):
            recompute(block, layout.recompute)


def training_device(world: World) -> torch.device:
    """Where this process computes, whatever its engine."""
    return torch.device("cuda", world.local_rank) if torch.cuda.is_available() else torch.device("cpu")


def make_engine(recipe: Recipe, world: World) -> Engine:
    """The plain engine for one uncut process, else the sharded one over torchrun's processes."""
    if world.world_size == 1 and recipe.parallel.model_processes == 1 and recipe.parallel.zero_stage == 0:
        return PlainEngine(recipe, training_device(world))
    from videoar.pretrain.parallel.engine import ShardedEngine

    return ShardedEngine(recipe, world)
