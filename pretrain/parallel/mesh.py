"""Megatron-core's process groups, made once from ParallelConfig and passed on as a value."""

from __future__ import annotations

from dataclasses import dataclass

import torch.distributed as dist
from megatron.core import parallel_state
from torch.distributed import ProcessGroup

from videoar.cluster.errors import InputError
from videoar.pretrain.config import ParallelConfig, Recipe


@dataclass(frozen=True, slots=True)
class Mesh:
    """This process's place: which groups it belongs to, and its rank in each."""

    tensor: ProcessGroup
    model: ProcessGroup
    """Tensor x pipeline: the processes that together hold one replica."""
    data: ProcessGroup
    """Data x context: the processes that hold the same weights and different tokens."""

    @property
    def tensor_rank(self) -> int:
        return dist.get_rank(self.tensor)

    @property
    def tensor_size(self) -> int:
        return dist.get_world_size(self.tensor)

    @property
    def data_rank(self) -> int:
        return dist.get_rank(self.data)

    @property
    def data_size(self) -> int:
        return dist.get_world_size(self.data)


def make_mesh(config: ParallelConfig) -> Mesh:
    """Initialise Megatron-core's groups over the default process group."""
    parallel_state.initialize_model_parallel(tensor_model_parallel_size=config.tensor)
    return Mesh(
        tensor=parallel_state.get_tensor_model_parallel_group(),
        model=parallel_state.get_model_parallel_group(),
        data=parallel_state.get_data_parallel_group(with_context_parallel=True),
    )


def check_layout(recipe: Recipe, processes: int) -> None:
    """Refuse, before anything starts, a layout that these processes or this model cannot take."""
    tensor = recipe.parallel.tensor
    if processes % tensor:
        raise InputError(
            "parallel.tensor", tensor, f"does not divide the {processes} processes", f"use a divisor of {processes}"
        )
    if recipe.model.num_heads % tensor:
        raise InputError(
            "parallel.tensor", tensor, f"does not divide model.num_heads={recipe.model.num_heads}",
            "use a divisor of the head count",
        )  # fmt: skip
    for stage in recipe.stages:
        if stage.batch % (processes // tensor):
            raise InputError(
                f"stages.{stage.name}.batch", stage.batch,
                f"is not a multiple of the {processes // tensor} data-parallel processes",
                "change the batch or the number of processes",
            )  # fmt: skip


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
        return self._mesh.data

    def get_data_parallel_world_size(self) -> int:
        return self._mesh.data_size

    def get_data_parallel_rank(self) -> int:
        return self._mesh.data_rank

    def get_tensor_model_parallel_group(self) -> ProcessGroup:
        return self._mesh.tensor

    def get_tensor_model_parallel_rank(self) -> int:
        return self._mesh.tensor_rank

    def get_tensor_model_parallel_world_size(self) -> int:
        return self._mesh.tensor_size
