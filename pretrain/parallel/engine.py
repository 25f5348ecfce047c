"""The sharded engine: Megatron-core's linears and schedules over the plain model, DeepSpeed's optimizer under it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer import TransformerConfig
from torch import Tensor, nn

from videoar.cluster.ground.process import World
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.checkpoint.holdings import fragments, load, moving_average
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.engine.loss import Tally, bitwise_loss
from videoar.pretrain.engine.profile import peak_memory
from videoar.pretrain.engine.protocol import Engine, StepResult
from videoar.pretrain.engine.recompute import prepare_blocks
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention.backends import backend_of
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.initial import initial_weight
from videoar.pretrain.parallel import cpu, zero
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.parallel.cuts import cut_of, split_layers
from videoar.pretrain.parallel.gradient_norms import OwnedGradients, WholeGradients
from videoar.pretrain.parallel.mesh import Mesh, leave_mesh, make_mesh
from videoar.pretrain.parallel.pipeline_stages import Stage
from videoar.pretrain.parallel.sequence import TokenCut
from videoar.pretrain.parallel.tensor import mark_cut, shard

Value = TypeVar("Value")

_LATER = 2.0
"""Collectives time out after this multiple of `faults.hang_timeout_s`: the hang watch names the culprit first."""


class ShardedEngine(Engine):
    """One process of many: holds its cut of the model and its share of the optimizer."""

    def __init__(self, recipe: Recipe, world: World) -> None:
        check_parallel(recipe, world.world_size)
        self._recipe = recipe
        self.parallel = recipe.parallel
        cpu.prepare_libraries()
        self.device = cpu.device_of(world.local_rank)
        hang_s = recipe.faults.hang_timeout_s
        cpu.join(world, self.device, hang_s, _LATER * hang_s)
        self._hosts = cpu.host_group(_LATER * hang_s)
        self._mesh = make_mesh(recipe.parallel)
        self.rank, self.num_processes = world.rank, world.world_size
        self.data_rank, self.data_size = self._mesh.data_rank, self._mesh.data_size
        self._config = megatron_config(recipe)
        self._cut = TokenCut.of(recipe.parallel, self._mesh, backend_of(recipe, self.device))
        self._stages = make_stages(recipe, self._mesh, self._config, self._cut)
        shapes = _whole_shapes(recipe)
        self._named = self._filled(lambda name: initial_weight(name, shapes[name], recipe.model, recipe.seed))
        self.needs_content = any(stage.is_first or stage.is_last for stage in self._stages)
        for stage in self._stages:
            prepare_blocks(stage.model, recipe.parallel)
        module = self._stages[0] if len(self._stages) == 1 else nn.ModuleList(self._stages)
        self._zero = zero.make_engine(module, recipe, self._mesh)
        self._config.finalize_model_grads_func = self._finalize
        self._holdings = list(zero.holdings(self._zero, self._named, shapes, self._mesh))
        self._gradients = self._watched_gradients()
        self._ema = moving_average(self._holdings, recipe.optimizer.ema_decay)
        self._tokens_per_pack = recipe.stages[0].tokens_per_pack
        self.updates = 0

    def _watched_gradients(self) -> WholeGradients | OwnedGradients:
        layers, recipe = self._recipe.model.num_layers, self._recipe
        if recipe.parallel.zero_stage == 0:
            return WholeGradients(self._named, self._mesh, layers, self.device)
        adam = zero.adam_of(self._zero)
        return OwnedGradients(adam, self._holdings, self._mesh, layers, recipe.optimizer.clip_norm, self.device)

    def begin_stage(self, stage: StageConfig) -> None:
        self._tokens_per_pack = stage.tokens_per_pack

    @torch.no_grad()
    def _filled(self, whole: Callable[[str], Tensor]) -> dict[str, nn.Parameter]:
        """Allocate every parameter and fill it with its cut of the whole weight of that name."""
        dtype = torch.bfloat16 if self._recipe.precision == "bf16" else torch.float32
        for stage in self._stages:
            stage.to_empty(device=self.device).to(dtype)
        named = {name: parameter for stage in self._stages for name, parameter in stage.model.named_parameters()}
        for name, parameter in named.items():
            cut = cut_of(name, self._mesh.tensor_rank, self._mesh.tensor_size)
            mark_cut(parameter, cut)
            parameter.copy_(cut.of(whole(name)) if cut else whole(name))
        return named

    def plan(self, layout: PackLayout) -> None:
        self._cut.attend(layout, self.device)

    def step(self, packs: Iterable[Pack], num_packs: int, num_frames: int, learning_rate: float) -> StepResult:
        tally = self._run(packs, num_packs, num_frames, forward_only=False)
        # The host waits for the device here, and again in DeepSpeed's step, which reads the norm of the gradient.
        unusable, peak = self.agree([not bool(torch.isfinite(tally.loss_sum)), peak_memory()])
        if unusable:
            zero.drop_gradients(self._zero)
            return StepResult(tally, tally.loss_sum, applied=False, peak_memory=peak)
        for group in zero.adam_of(self._zero).param_groups:
            group["lr"] = learning_rate
        norm, by_block, applied = zero.update(self._zero, self._recipe, self._gradients)
        if applied:
            self.updates += 1
            if self._ema is not None:
                self._ema.update(self.updates)
        return StepResult(tally, norm, applied, by_block, peak)

    @torch.no_grad()
    def evaluate(self, packs: Iterable[Pack], num_packs: int, num_frames: int) -> Tally:
        return self.total(self._run(packs, num_packs, num_frames, forward_only=True))

    def _run(self, packs: Iterable[Pack], num_packs: int, num_frames: int, *, forward_only: bool) -> Tally:
        """Megatron-core's schedule over the packs; their tally, which is empty except on the last stage."""
        if not num_packs:
            return Tally.empty(self.device)
        chunks = len(self._stages)
        iterators = list(itertools.tee(packs, chunks))  # every chunk reads the same packs
        with cpu.schedule_scope():
            tallies: list[Tally] = get_forward_backward_func()(
                forward_step_func=partial(self._forward_step, num_frames=num_frames),
                data_iterator=iterators if chunks > 1 else iterators[0],
                model=self._stages if chunks > 1 else self._stages[0],
                num_microbatches=num_packs,
                seq_length=self._tokens_per_pack,
                micro_batch_size=1,
                forward_only=forward_only,
            )
        return sum(tallies, start=Tally.empty(self.device))

    def _forward_step(self, packs: Iterator[Pack], stage: Stage, num_frames: int) -> tuple[Tensor, Any]:
        pack = next(packs)
        out = zero.forward(self._zero, stage, pack)
        return out, partial(self._loss, pack=pack, num_frames=num_frames)

    def _loss(self, logits: Tensor, pack: Pack, num_frames: int) -> tuple[Tensor, Tensor, Tally]:
        """(loss, tokens, tally), as the schedule expects; it does not rescale the loss (calculate_per_token_loss).

        DeepSpeed averages gradients over the replicas, but each holds a part of a sum: the factor makes up for that.
        """
        loss, tally = bitwise_loss(logits, pack)
        loss = loss * (self._mesh.replica_size / num_frames)
        return loss, torch.zeros((), dtype=torch.int, device=loss.device), tally

    def _finalize(self, model: Any, num_tokens: Tensor | None = None, **_: object) -> None:
        """Called by the schedule once, after the backward of the last microbatch."""
        zero.reduce_gradients(self._zero, self._recipe)

    def total(self, tally: Tally) -> Tally:
        """The tally summed over data ranks, and over pipeline stages, of which only the last one counts."""
        sums = tally.sums.clone()
        dist.all_reduce(sums, group=self._mesh.data)
        dist.all_reduce(sums, group=self._mesh.pipeline)
        return Tally(sums)

    def agree(self, values: Sequence[int]) -> tuple[int, ...]:
        highest = torch.tensor([int(value) for value in values])
        dist.all_reduce(highest, dist.ReduceOp.MAX, group=self._hosts)
        return tuple(highest.tolist())

    def gather(self, value: Value) -> list[Value] | None:
        values: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
        dist.gather_object(value, values)
        return values

    def fragments(self) -> Iterable[Fragment]:
        """Each element is yielded by one process: tensor rank 0 if it is not cut, the first replica without ZeRO."""
        writes = self._recipe.parallel.zero_stage > 0 or self._mesh.replica_rank == 0
        for fragment in fragments(self._holdings, self._ema):
            if writes and (fragment.place.cut is not None or self._mesh.tensor_rank == 0):
                yield fragment

    def load(self, checkpoint: Checkpoint) -> None:
        load(self._holdings, self._ema, checkpoint)
        self.updates = checkpoint.meta["updates"]

    def share_weights(self) -> None:
        zero.spread_masters(self._zero, self._named, self._holdings, self._mesh)

    def close(self) -> None:
        zero.close(self._zero)
        leave_mesh()


def make_stages(recipe: Recipe, mesh: Mesh, config: TransformerConfig, cut: TokenCut) -> list[Stage]:
    """The chunks of the model that this process holds, cut, on the meta device (without values)."""
    parallel = recipe.parallel
    ranges = split_layers(recipe.model, parallel.pipeline * parallel.virtual_pipeline)
    stages = []
    for chunk in range(parallel.virtual_pipeline):
        index = chunk * parallel.pipeline + mesh.pipeline_rank
        with torch.device("meta"):
            model = VideoAR(recipe.model)
            shard(model, mesh, config)
        stages.append(
            Stage(
                model,
                ranges[index],
                is_first=index == 0,
                is_last=index == len(ranges) - 1,
                config=config,
                cut=cut,
                vp_stage=chunk if parallel.virtual_pipeline > 1 else None,
            )
        )
    return stages


def _whole_shapes(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(parameter.shape) for name, parameter in VideoAR(recipe.model).named_parameters()}


def megatron_config(recipe: Recipe) -> TransformerConfig:
    """Megatron-core's own configuration, derived from ours; its schedules read these fields."""
    parallel = recipe.parallel
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    interleaved = parallel.virtual_pipeline > 1
    return TransformerConfig(
        num_layers=recipe.model.num_layers,
        hidden_size=recipe.model.width,
        num_attention_heads=recipe.model.num_heads,
        tensor_model_parallel_size=parallel.tensor,
        pipeline_model_parallel_size=parallel.pipeline,
        virtual_pipeline_model_parallel_size=parallel.virtual_pipeline if interleaved else None,
        context_parallel_size=parallel.context,
        sequence_parallel=parallel.sequence and parallel.tensor > 1,
        overlap_p2p_comm=interleaved,
        batch_p2p_comm=not interleaved,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=recipe.precision == "bf16",
        use_cpu_initialization=True,
        perform_initialization=False,
        gradient_accumulation_fusion=False,
        bias_activation_fusion=False,
        calculate_per_token_loss=True,
    )
