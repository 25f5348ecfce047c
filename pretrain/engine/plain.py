"""The engine of a single process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.checkpoint.holdings import fragments, load, moving_average, plain_holdings
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.block_norms import BlockSums
from videoar.pretrain.engine.loss import Tally, bitwise_loss
from videoar.pretrain.engine.optim import adamw, step_if_finite
from videoar.pretrain.engine.profile import peak_memory
from videoar.pretrain.engine.protocol import Engine, StepResult, Value
from videoar.pretrain.engine.recompute import prepare_blocks
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.backends import backend_of
from videoar.pretrain.model.attention.layout import PackLayout


def forward_loss(model: VideoAR, pack: Pack, num_frames: int, attention: str = "auto") -> tuple[Tensor, Tally]:
    """This pack's part of the step loss: the sum of a_s x the mean over bits, over N; and its tally."""
    attend = choose(pack.layout, pack.weights.device, attention)
    loss, tally = bitwise_loss(model(pack.inputs, attend), pack)
    return loss / num_frames, tally


class PlainEngine(Engine):
    """One process, plain PyTorch; every sharded engine must give its results."""

    rank, num_processes, data_rank, data_size = 0, 1, 0, 1

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.device = device
        self._recipe = recipe
        self._attention = backend_of(recipe, device)
        self.parallel = recipe.parallel
        with device:  # PyTorch's own first draw of the weights takes minutes on one thread of a CPU
            self.model = VideoAR(recipe.model)
        init_weights(self.model, recipe.seed)
        prepare_blocks(self.model, recipe.parallel)
        self._optimizer = adamw(self.model.named_parameters(), recipe.optimizer)
        self._holdings = plain_holdings(self.model, self._optimizer)
        self._ema = moving_average(self._holdings, recipe.optimizer.ema_decay)
        self._block_sums = BlockSums(
            [name for name, _ in self.model.named_parameters()], recipe.model.num_layers, device
        )
        self.updates = 0

    def plan(self, layout: PackLayout) -> None:
        choose(layout, self.device, self._attention)

    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        tallies = []
        for pack in packs:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
                loss, tally = forward_loss(self.model, pack, num_frames, self._attention)
            loss.backward()
            tallies.append(tally)
        norm, by_block = self._clip()
        applied = self._apply(norm, learning_rate)
        self._optimizer.zero_grad(set_to_none=True)
        tally = sum(tallies, start=Tally.empty(self.device))
        return StepResult(tally, norm, applied, by_block, peak_memory())

    def _clip(self) -> tuple[Float32[Tensor, ""], Float32[Tensor, " blocks"]]:
        """The norms of the whole gradient and of each block; scales the gradient down to the recipe's limit, if any."""
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        norm = torch.linalg.vector_norm(norms)
        if (limit := self._recipe.optimizer.clip_norm) is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), limit, norm)
        return norm, self._block_sums.squares(norms).sqrt()

    @torch.no_grad()
    def evaluate(self, packs: Iterable[Pack], num_packs: int, num_frames: int) -> Tally:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            tallies = [forward_loss(self.model, pack, num_frames, self._attention)[1] for pack in packs]
        return sum(tallies, start=Tally.empty(self.device))

    def _apply(self, norm: Float32[Tensor, ""], learning_rate: float) -> bool:
        """Apply AdamW and the moving average if the norm is finite; returns whether they were applied."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        applied = step_if_finite(self._optimizer, norm)
        if applied:
            self.updates += 1
            if self._ema is not None:
                self._ema.update(self.updates)
        return applied

    def total(self, tally: Tally) -> Tally:
        return tally

    def agree(self, values: Sequence[int]) -> tuple[int, ...]:
        return tuple(values)

    def gather(self, value: Value) -> list[Value] | None:
        return [value]

    def fragments(self) -> Iterable[Fragment]:
        return fragments(self._holdings, self._ema)

    def load(self, checkpoint: Checkpoint) -> None:
        load(self._holdings, self._ema, checkpoint)
        self.updates = checkpoint.meta["updates"]
