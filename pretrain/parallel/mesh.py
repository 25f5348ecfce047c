"""Megatron-core's process groups, made once from ParallelConfig and passed as a value."""

from __future__ import annotations

from dataclasses import dataclass

import torch.distributed as dist
from megatron.core import parallel_state
from torch.distributed import ProcessGroup

from videoar.pretrain.config import ParallelConfig


@dataclass(frozen=True, slots=True)
class Mesh:
    """The process groups that this process belongs to, named by what differs between their members."""

    tensor: ProcessGroup
    pipeline: ProcessGroup
    context: ProcessGroup
    data: ProcessGroup
    """Processes with different packs and the same weights."""
    replicas: ProcessGroup
    """Data x context: processes with different tokens and the same weights. DeepSpeed reduces and shards over it."""
    model: ProcessGroup
    """Tensor x pipeline: processes that together hold each weight once."""

    @property
    def tensor_rank(self) -> int:
        return dist.get_rank(self.tensor)

    @property
    def tensor_size(self) -> int:
        return dist.get_world_size(self.tensor)

    @property
    def pipeline_rank(self) -> int:
        return dist.get_rank(self.pipeline)

    @property
    def pipeline_size(self) -> int:
        return dist.get_world_size(self.pipeline)

    @property
    def context_rank(self) -> int:
        return dist.get_rank(self.context)

    @property
    def context_size(self) -> int:
        return dist.get_world_size(self.context)

    @property
    def data_rank(self) -> int:
        return dist.get_rank(self.data)

    @property
    def data_size(self) -> int:
        return dist.get_world_size(self.data)

    @property
    def replica_rank(self) -> int:
        return dist.get_rank(self.replicas)

    @property
    def replica_size(self) -> int:
        return dist.get_world_size(self.replicas)


def make_mesh(config: ParallelConfig) -> Mesh:
    """Initialise Megatron-core's groups over the default process group."""
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=config.tensor,
        pipeline_model_parallel_size=config.pipeline,
        virtual_pipeline_model_parallel_size=config.virtual_pipeline if config.virtual_pipeline > 1 else None,
        context_parallel_size=config.context,
    )
    return Mesh(
        tensor=parallel_state.get_tensor_model_parallel_group(),
        pipeline=parallel_state.get_pipeline_model_parallel_group(),
        context=parallel_state.get_context_parallel_group(),
        data=parallel_state.get_data_parallel_group(),
        replicas=parallel_state.get_data_parallel_group(with_context_parallel=True),
        model=parallel_state.get_model_parallel_group(),
    )


def leave_mesh() -> None:
    """Forget Megatron-core's groups, so that others can be made."""
    parallel_state.destroy_model_parallel()


class ModelParallelUnit:
    """The groups as DeepSpeed asks for them (its `mpu`).

    Megatron-core's own module must not be passed: its data group leaves out context parallelism, it lacks two of these
    names, and names that look like DeepSpeed's sequence parallelism would change how gradients are averaged.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def get_model_parallel_group(self) -> ProcessGroup:
        return self._mesh.model

    def get_model_parallel_world_size(self) -> int:
        return dist.get_world_size(self._mesh.model)

    def get_model_parallel_rank(self) -> int:
        return dist.get_rank(self._mesh.model)

    def get_data_parallel_group(self) -> ProcessGroup:
        return self._mesh.replicas

    def get_data_parallel_world_size(self) -> int:
        return self._mesh.replica_size

    def get_data_parallel_rank(self) -> int:
        return self._mesh.replica_rank

    def get_tensor_model_parallel_group(self) -> ProcessGroup:
        return self._mesh.tensor

    def get_tensor_model_parallel_rank(self) -> int:
        return self._mesh.tensor_rank

    def get_tensor_model_parallel_world_size(self) -> int:
        return self._mesh.tensor_size

    def get_pipeline_model_parallel_group(self) -> ProcessGroup:
        return self._mesh.pipeline

    def get_pipeline_model_parallel_rank(self) -> int:
        return self._mesh.pipeline_rank

    def get_pipeline_model_parallel_world_size(self) -> int:
        return self._mesh.pipeline_size
