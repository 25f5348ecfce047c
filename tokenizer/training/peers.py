"""The processes that train one tokenizer: each has a share of every batch, and all of them the same weights.

Whatever depends on the whole batch (gradients, means of the entropy term, LeCAM's averages) is reduced over them, so
that any number of processes gives the results of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.tokenizer.training.config import TokenizerTrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Peers:
    """This process and the others of the job; collectives use torch.distributed's default group."""

    rank: int = 0
    size: int = 1
    host: distributed.ProcessGroup | None = None
    """Group for collectives in host memory, if the default group communicates between GPUs."""

    @property
    def is_first(self) -> bool:
        """True for the one process that writes."""
        return self.rank == 0

    def share(self, clips: int) -> range:
        """Numbers of this process's clips in a batch."""
        each = clips // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    @torch.no_grad()
    def sum(self, value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """The sum over processes, as a new tensor."""
        total = value.detach().clone()
        if self.size > 1:
            distributed.all_reduce(total)
        return total

    def mean(self, value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The mean over processes, differentiable for a loss that every process computes from it.

        The gradient passes through unchanged: gradients are averaged over processes later, which is the factor
        1 / size, and the loss is the same on all of them, so the sum over processes is in that average too.
        """
        if self.size == 1:
            return value
        return self.sum(value) / self.size + (value - value.detach())

    def average(self, gradients: Iterable[Tensor]) -> None:
        """Replace gradients by their means over processes, in one message."""
        gradients = list(gradients)
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        parts = flat.div_(self.size).split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(old) for part, old in zip(parts, gradients, strict=True)])

    def agree(self, flag: bool) -> bool:
        """Whether the flag is set on any process."""
        return bool(self._largest(int(flag)))

    def gather(self, value: str) -> list[str]:
        """What each process gives, in their order."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(values, value, group=self.host)
        return values

    def wait(self) -> None:
        """Return when every process has called this: a launcher ends the others when one of them has ended."""
        self._largest(0)

    def check_same(self, step: int) -> None:
        """Raise Stopped unless every process has found the checkpoint of the same step."""
        if self._largest(step) != -self._largest(-step):
            raise Stopped(f"process {self.rank} resumes from step {step}, but others do not; keep RUN on a shared disk")

    def _largest(self, value: int) -> int:
        if self.size == 1:
            return value
        device = "cuda" if self.host is None and distributed.get_backend() == "nccl" else "cpu"
        largest = torch.tensor(value, device=device)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self.host)
        return int(largest)


def check_shares(recipe: TokenizerTrainConfig, processes: int) -> None:
    """InputError if the processes cannot share every batch equally: a mean over clips would not be one."""
    for index, bucket in enumerate(recipe.buckets):
        if (clips := recipe.num_clips(index)) % processes:
            field = "train.batch_size" if bucket.batch_size is None else f"train.buckets.{index}.batch_size"
            below = clips - clips % processes
            raise InputError(
                field,
                clips,
                f"is not a multiple of the {processes} processes",
                f"use {f'{below} or ' if below else ''}{below + processes}, or another number of processes",
            )
