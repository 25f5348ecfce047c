"""Bytes that a process sends in a step, over which links, and the seconds of a collective.

Processes are numbered as in Megatron-core: tensor, then context, then data, then pipeline ranks. Collectives are rings:
each process sends (n - 1)/n of the tensor in a gather or a scatter, twice that in a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from videoar.pretrain.budget.machine import Machine
from videoar.pretrain.config import ParallelConfig, Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Bytes that a process sends in a step."""

    tensor: float
    """Bytes exchanged around the cut matrices of each block."""
    context: float
    """Bytes exchanged around attention."""
    pipeline: float
    """Bytes sent to the stages before and after."""
    data: float
    """Bytes of gradients and weights, sent between replicas."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Processes that take part in a collective."""

    size: int
    per_node: int
    """Number of these processes in one node."""

    @property
    def sent(self) -> float:
        """(n - 1) / n: what each sends of a tensor in a gather."""
        return (self.size - 1) / self.size

    def seconds(self, sent_bytes: float, machine: Machine, calls: int = 1) -> float:
        """Seconds in which each process sends these bytes in `calls` collectives.

        Within a node they use NVLink. Between nodes, every member of a node sends through its own adapter.
        """
        if self.size == 1:
            return 0.0
        rate = machine.gpu.nvlink_bytes_per_s
        if self.size > self.per_node:
            rate = min(rate, self.per_node * machine.network_bytes_per_s)
        return sent_bytes / (rate * machine.links) + calls * machine.latency_s * math.log2(self.size)


def tensor_group(parallel: ParallelConfig, machine: Machine) -> Group:
    """Processes that share the matrices of a block."""
    return Group(size=parallel.tensor, per_node=min(parallel.tensor, machine.gpus_per_node))


def context_group(parallel: ParallelConfig, machine: Machine) -> Group:
    """Processes that share the tokens of a pack."""
    return Group(size=parallel.context, per_node=_within(parallel.context, parallel.tensor, machine))


def replica_group(parallel: ParallelConfig, gpus: int, machine: Machine) -> Group:
    """Data x context: processes with the same weights."""
    size = gpus // (parallel.tensor * parallel.pipeline)
    return Group(size=size, per_node=_within(size, parallel.tensor, machine))


def stage_pair(parallel: ParallelConfig, gpus: int, machine: Machine) -> Group:
    """A process and its neighbour in the next pipeline stage."""
    return Group(size=min(2, parallel.pipeline), per_node=2 if gpus <= machine.gpus_per_node else 1)


def _within(size: int, stride: int, machine: Machine) -> int:
    """Members of a group in one node, if they are `stride` ranks apart."""
    return max(1, min(size, machine.gpus_per_node // stride))


def stream_bytes(parallel: ParallelConfig, rows: int, width: int, itemsize: int) -> float:
    """Bytes of the residual stream that a tensor group exchanges: rows of one context rank."""
    return rows / parallel.context * width * itemsize


def tensor_exchanges(parallel: ParallelConfig) -> tuple[int, int]:
    """Gathers or scatters of the residual stream in a layer: (forward, backward without recomputation).

    A sum without sequence parallelism is a scatter and a gather; with it, backward gathers each column's input again.
    """
    if parallel.tensor == 1:
        return 0, 0
    return 4, 6 if parallel.sequence else 4


def context_bytes(parallel: ParallelConfig, rows: int, width: int, itemsize: int) -> float:
    """Bytes that a process sends around one layer's attention, forward; backward sends the same number."""
    share = (parallel.context - 1) / parallel.context
    tensors = 2.0 if parallel.context_method == "gather" else 4.0 / parallel.context
    return share * tensors * rows * width * itemsize / parallel.tensor


def data_bytes(
    parallel: ParallelConfig, weights: int, packs: int, group: Group, precision: Precision
) -> tuple[float, float]:
    """Bytes that a process sends of W weights: (gradients, weights).

    ZeRO 0 and 1 sum float32 gradients once a step, and 1 gathers the new weights; 2 scatters the gradients of every
    pack, in the precision of the weights; 3 also gathers weights for every forward and backward pass.
    """
    itemsize = 2 if precision == "bf16" else 4
    stage = parallel.zero_stage
    gradients = 2 * 4 if stage < 2 else packs * itemsize
    gathered = (0, itemsize, itemsize, 2 * packs * itemsize)[stage]
    return group.sent * gradients * weights, group.sent * gathered * weights
