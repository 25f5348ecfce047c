"""The sharded engine: Megatron-core's linears and schedule over the plain model, DeepSpeed's optimizer under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from megatron.core.enums import ModelType
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer import TransformerConfig
from torch import Tensor, nn

from videoar.cluster.process import World
from videoar.pretrain.checkpoint import Checkpoint, Fragment
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine import Engine, StepResult, forward_loss
from videoar.pretrain.inputs import Pack
from videoar.pretrain.loss import Tally
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.parallel import cpu, zero
from videoar.pretrain.parallel.mesh import check_layout, make_mesh
from videoar.pretrain.parallel.tensor import cut_of, shard
from videoar.pretrain.state import fragments, load, moving_average

Value = TypeVar("Value")


class Stage(nn.Module):
    """The model as Megatron-core's schedules see it: a config, a type, and an input they may set."""

    model_type = ModelType.encoder_or_decoder

    def __init__(self, model: VideoAR, config: TransformerConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def set_input_tensor(self, tensors: list[Tensor | None]) -> None:
        """What the stage before sent; there is none before a first stage."""
        assert tensors == [None]

    def forward(self, pack: Pack, num_frames: int) -> tuple[Tensor, Tally]:
        return forward_loss(self.model, pack, num_frames)


class ShardedEngine(Engine):
    """One process of many: holds its cut of the model and its share of the optimizer."""

    def __init__(self, recipe: Recipe, world: World) -> None:
        check_layout(recipe, world.world_size)
        self._recipe = recipe
        cpu.prepare_libraries()
        self.device = cpu.device_of(world.local_rank)
        cpu.join(self.device)
        self._mesh = make_mesh(recipe.parallel)
        self.rank = world.rank
        self.data_rank, self.data_size = self._mesh.data_rank, self._mesh.data_size
        model = VideoAR(recipe.model)
        init_weights(model, recipe.seed)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        self._config = _megatron_config(recipe)
        shard(model, self._mesh, self._config)
        model.to(self.device, torch.bfloat16 if recipe.precision == "bf16" else torch.float32)
        self._stage = Stage(model, self._config)
        self._engine = zero.make_engine(self._stage, recipe, self._mesh)
        self._config.finalize_model_grads_func = self._finalize
        self._named = dict(model.named_parameters())
        self._holdings = list(zero.holdings(self._engine, self._named, shapes, self._mesh))
        self._ema = moving_average(self._holdings, recipe.optimizer.ema_decay)
        self.updates = 0

    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        with cpu.schedule_scope():
            tallies: list[Tally] = get_forward_backward_func()(
                forward_step_func=partial(self._forward_step, num_frames=num_frames),
                data_iterator=iter(packs),
                model=self._stage,
                num_microbatches=num_packs,
                seq_length=0,  # read by pipeline stages only
                micro_batch_size=1,
                forward_only=False,
            )
        tally = sum(tallies, start=Tally.empty(self.device))
        if self.any(not bool(torch.isfinite(tally.loss_sum))):
            zero.drop_gradients(self._engine)
            return StepResult(tally, tally.loss_sum, applied=False)
        for group in zero.adam_of(self._engine).param_groups:
            group["lr"] = learning_rate
        norm, applied = zero.update(self._engine, self._recipe, self._mesh)
        if applied:
            self.updates += 1
            if self._ema is not None:
                self._ema.update(self.updates)
        return StepResult(tally, norm, applied)

    @torch.no_grad()
    def evaluate(self, packs: Iterable[Pack], num_frames: int) -> Tally:
        tallies = [self._stage(pack, num_frames)[1] for pack in packs]
        return self.total(sum(tallies, start=Tally.empty(self.device)))

    def _forward_step(self, packs: Iterator[Pack], stage: Stage, num_frames: int) -> tuple[Tensor, Any]:
        loss, tally = stage(next(packs), num_frames)
        # DeepSpeed averages gradients over the data ranks, and each holds its own part of a sum.
        return loss * self.data_size, partial(_as_megatron_wants, tally=tally)

    def _finalize(self, model: Any, num_tokens: Tensor | None = None, **_: object) -> None:
        """Called once by the schedule, after the last microbatch's backward."""
        zero.reduce_gradients(self._engine)

    def total(self, tally: Tally) -> Tally:
        sums = tally.sums.clone()
        dist.all_reduce(sums, group=self._mesh.data)
        return Tally(sums)

    def any(self, flag: bool) -> bool:
        value = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def gather(self, value: Value) -> list[Value] | None:
        values: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
        dist.gather_object(value, values)
        return values

    def broadcast(self, value: Value) -> Value:
        box = [value]
        dist.broadcast_object_list(box, device=self.device)
        return box[0]

    def fragments(self) -> Iterable[Fragment]:
        """Replicas stay silent: cuts come from data rank 0 (ZeRO slices from all), what is whole from tensor rank 0."""
        owned = self._recipe.parallel.zero_stage > 0 or self.data_rank == 0
        for fragment in fragments(self._holdings, self._ema):
            if owned and (fragment.cut is not None or self._mesh.tensor_rank == 0):
                yield fragment

    @torch.no_grad()
    def load(self, checkpoint: Checkpoint) -> None:
        for name, parameter in self._named.items():
            cut, whole = cut_of(name, self._mesh), checkpoint.read(name)
            parameter.copy_(cut.of(whole) if cut else whole)
        load(self._holdings, self._ema, checkpoint)
        self.updates = checkpoint.meta["updates"]

    def close(self) -> None:
        dist.destroy_process_group()


def _as_megatron_wants(loss: Tensor, tally: Tally) -> tuple[Tensor, Tensor, Tally]:
    """(loss, number of tokens, what to report): with calculate_per_token_loss the schedule leaves the loss alone."""
    return loss, torch.zeros((), dtype=torch.int, device=loss.device), tally


def _megatron_config(recipe: Recipe) -> TransformerConfig:
    """Megatron-core's own configuration, derived from ours; its schedules read fields of its transformer's."""
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    return TransformerConfig(
        num_layers=recipe.model.num_layers,
        hidden_size=recipe.model.width,
        num_attention_heads=recipe.model.num_heads,
        tensor_model_parallel_size=recipe.parallel.tensor,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=recipe.precision == "bf16",
        use_cpu_initialization=True,
        perform_initialization=False,
        gradient_accumulation_fusion=False,
        bias_activation_fusion=False,
        calculate_per_token_loss=True,
    )
