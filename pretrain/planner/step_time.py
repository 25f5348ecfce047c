"""The time of a training step: passes of a layer, the pipeline's schedule, and what is exchanged between processes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from videoar.pretrain.budget.flops import Shape
from videoar.pretrain.budget.machine import Machine
from videoar.pretrain.budget.schedule import Event, Span, makespan, orders, timeline
from videoar.pretrain.config import ParallelConfig, Precision
from videoar.pretrain.planner.links import (
    Traffic,
    context_bytes,
    context_group,
    data_bytes,
    replica_group,
    stage_pair,
    stream_bytes,
    tensor_exchanges,
    tensor_group,
)

_ELEMENTWISE = {True: 40.0, False: 120.0}
"""Bytes that a block reads and writes outside products and attention, forward, for each token and unit of width in
bf16; compiled or not. Backward moves twice as many."""
_KERNELS = {True: 15, False: 40}
"""Kernels of a block's forward pass, compiled or not; backward launches twice as many. The host needs time for each
launch, so small models wait for it."""
_OPTIMIZER_BYTES = 32.0
"""Bytes that AdamW reads and writes for each weight: float32 weight, gradient and moments, bf16 weight."""
_AVERAGE_BYTES = 12.0
"""The same for the moving average."""
_BUCKET = 50_000_000
"""Elements that are exchanged in one collective between replicas (`parallel.zero`)."""
_HEAD_TILE = 32
"""Flash-attention kernels compute heads of a multiple of this many channels."""
_STEADY = 4
"""Number of packs for each stage that are simulated; every further pack adds the time of the slowest stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What one replica computes in a step, and how it is cut."""

    shape: Shape
    rows: int
    """Rows of a pack, padding included."""
    pairs: float
    """Attended pairs of a pack."""
    packs: int
    """Packs of one replica."""
    layers: Sequence[Sequence[int]]
    """Layers of each chunk of each pipeline stage."""
    weights: Sequence[int]
    """Weights on a process of each pipeline stage."""
    parallel: ParallelConfig
    gpus: int
    head_dim: int
    precision: Precision = "bf16"
    averaged: bool = True
    """Whether a moving average is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Shares of communication that are hidden behind products. Our engine hides none."""

    tensor: float = 0.0
    data: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """Seconds of one layer for one pack, by cause."""

    products: float
    attention: float
    elementwise: float
    recomputed: float
    tensor: float
    """Waiting for exchanges around the cut matrices."""
    context: float
    least_s: float
    """Seconds that the host needs to launch the kernels."""

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by part; `host` is the time in which the device waits for the host."""
        named = ("products", "attention", "elementwise", "recomputed", "tensor", "context")
        found = {name: getattr(self, name) for name in named}
        return found | {"host": max(0.0, self.least_s - sum(found.values()))}

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    def times(self, factor: int) -> dict[str, float]:
        """Seconds by part, of several layers and packs."""
        return {name: factor * value for name, value in self.parts.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """Seconds of a step on the pipeline stage that computes longest."""

    parts: dict[str, float]
    """Seconds by cause; they add up to `step_s`."""
    bubble: float
    """Mean share of the schedule's time in which stages wait."""
    traffic: Traffic

    @property
    def step_s(self) -> float:
        """Seconds of the step."""
        return sum(self.parts.values())

    @property
    def communication_s(self) -> float:
        """Seconds in which a process waits for others, the bubble aside."""
        return sum(self.parts[name] for name in ("tensor", "context", "data"))


def step_time(load: Load, machine: Machine, overlap: Overlap | None = None) -> StepTime:
    """The time of a step, and what takes it."""
    overlap = overlap or Overlap()
    forward, backward = layer_passes(load, machine, overlap)
    spans, whole_s = schedule_of(load, machine, overlap)
    busiest = max(range(len(spans)), key=lambda stage: _busy_s(spans[stage]))
    layers = sum(load.layers[busiest]) * load.packs
    parts = {name: value + backward.times(layers)[name] for name, value in forward.times(layers).items()}
    parts["ends"] = load.packs * sum(_end_s(load, machine, busiest, chunk) for chunk in range(len(load.layers[0])))
    waits = load.parallel.pipeline > 1  # otherwise what remains is rounding
    parts["bubble"] = max(0.0, whole_s - sum(parts.values())) if waits else 0.0
    data_s, data_sent = _between_replicas(load, machine, overlap)
    parts |= {"data": data_s, "optimizer": _optimizer_s(load, machine)}
    computing_s = statistics.fmean(_busy_s(ran) for ran in spans) * load.packs / _simulated(load)
    return StepTime(
        parts=parts, bubble=1 - computing_s / whole_s if waits else 0.0, traffic=_traffic(load, busiest, data_sent)
    )


def layer_passes(load: Load, machine: Machine, overlap: Overlap) -> tuple[Pass, Pass]:
    """One layer for one pack: (forward, backward with what it recomputes)."""
    parallel, width = load.parallel, load.shape.width
    processes, peak = parallel.tensor * parallel.context, _peak(load, machine)
    products = 2.0 * load.shape.block * load.rows / processes / (peak * machine.products_share(width))
    padded = -(-load.head_dim // _HEAD_TILE) * _HEAD_TILE / load.head_dim
    scores = 4.0 * width * load.pairs * padded / processes
    elementwise, context = _elementwise_s(load, machine), _context_s(load, machine)
    tensor, shown = _tensor_s(load, machine), 1.0 - overlap.tensor
    least_s = _KERNELS[parallel.compiles] * machine.launch_s
    forward = Pass(
        products=products,
        attention=scores / (peak * machine.attention_forward),
        elementwise=elementwise,
        recomputed=0.0,
        tensor=shown * tensor[0],
        context=context,
        least_s=least_s,
    )
    again = {"none": 0.0, "selective": forward.elementwise, "full": products + forward.attention + elementwise}
    repeats = parallel.recompute != "none"
    backward = Pass(
        products=2 * products,
        attention=2 * scores / (peak * machine.attention_backward),
        elementwise=2 * elementwise,
        recomputed=again[parallel.recompute],
        tensor=shown * (tensor[1] + repeats * tensor[0]),
        context=(1 + repeats) * context,
        least_s=(2 + repeats) * least_s,
    )
    return forward, backward


def schedule_of(load: Load, machine: Machine, overlap: Overlap | None = None) -> tuple[list[list[Span]], float]:
    """(when each pass of the first packs runs, seconds until the last pack is done)."""
    forward, backward = layer_passes(load, machine, overlap or Overlap())
    stages, chunks = len(load.layers), len(load.layers[0])
    shown = _simulated(load)

    def duration(stage: int, event: Event) -> float:
        is_forward = event.kind == "forward"
        end = _end_s(load, machine, stage, event.chunk) / 3
        layer = forward.seconds if is_forward else backward.seconds
        return load.layers[stage][event.chunk] * layer + end * (1 if is_forward else 2)

    pair = stage_pair(load.parallel, load.gpus, machine)
    spans = timeline(orders(stages, shown, chunks), duration, pair.seconds(_sent_on(load), machine))
    each_s = max(_busy_s(ran) for ran in spans) / shown
    return spans, float(makespan(spans)) + (load.packs - shown) * each_s


def _simulated(load: Load) -> int:
    """Packs whose passes are simulated."""
    return min(load.packs, _STEADY * len(load.layers))


def _busy_s(ran: Sequence[Span]) -> float:
    return float(sum(span.end - span.start for span in ran))


def _peak(load: Load, machine: Machine) -> float:
    return machine.gpu.flops_per_s if load.precision == "bf16" else machine.gpu.float32_flops_per_s


def _itemsize(load: Load) -> int:
    return 2 if load.precision == "bf16" else 4


def _end_s(load: Load, machine: Machine, stage: int, chunk: int) -> float:
    """Forward and backward of the matrix before or after the layers, which tensor parallelism does not cut."""
    weights = load.shape.first if stage == chunk == 0 else 0
    if (stage, chunk) == (len(load.layers) - 1, len(load.layers[0]) - 1):
        weights += load.shape.last
    rate = _peak(load, machine) * machine.products_share(load.shape.width)
    return 6.0 * weights * load.rows / load.parallel.context / rate


def _tensor_s(load: Load, machine: Machine) -> tuple[float, float]:
    """Exchanges of one layer and pack in the tensor group: (forward, backward)."""
    group = tensor_group(load.parallel, machine)
    sent = group.sent * stream_bytes(load.parallel, load.rows, load.shape.width, _itemsize(load))
    forward, backward = (group.seconds(count * sent, machine, count) for count in tensor_exchanges(load.parallel))
    return forward, backward


def _elementwise_s(load: Load, machine: Machine) -> float:
    """Elementwise operations of one layer, forward. Sequence parallelism divides it over the tensor group."""
    cut = load.parallel.context * (load.parallel.tensor if load.parallel.sequence else 1)
    touched = load.rows * load.shape.width * _ELEMENTWISE[load.parallel.compiles] * _itemsize(load) / 2
    return touched / cut / (machine.gpu.memory_bytes_per_s * machine.memory)


def _context_s(load: Load, machine: Machine) -> float:
    sent = context_bytes(load.parallel, load.rows, load.shape.width, _itemsize(load))
    return context_group(load.parallel, machine).seconds(sent, machine, 2)


def _sent_on(load: Load) -> float:
    """Bytes of one pack's residual stream from one stage to the next."""
    whole = stream_bytes(load.parallel, load.rows, load.shape.width, _itemsize(load))
    return whole / (load.parallel.tensor if load.parallel.sequence else 1)


def _between_replicas(load: Load, machine: Machine, overlap: Overlap) -> tuple[float, float]:
    """(seconds that are not hidden, bytes that a process sends) of gradients and weights."""
    group = replica_group(load.parallel, load.gpus, machine)
    weights = max(load.weights)
    sent = sum(data_bytes(load.parallel, weights, load.packs, group, load.precision))
    times = load.packs if load.parallel.zero_stage >= 2 else 1
    return (1 - overlap.data) * group.seconds(sent, machine, 2 * times * -(-weights // _BUCKET)), sent


def _optimizer_s(load: Load, machine: Machine) -> float:
    """AdamW and the moving average over the part of the weights that a process owns."""
    group = replica_group(load.parallel, load.gpus, machine)
    owned = max(load.weights) / (group.size if load.parallel.zero_stage else 1)
    rate = machine.gpu.memory_bytes_per_s * machine.memory
    if load.parallel.offload:
        rate = machine.host_bytes_per_s
    return owned * (_OPTIMIZER_BYTES + load.averaged * _AVERAGE_BYTES) / rate


def _traffic(load: Load, stage: int, data_sent: float) -> Traffic:
    """Bytes that a process of this pipeline stage sends in a step."""
    parallel, width, itemsize = load.parallel, load.shape.width, _itemsize(load)
    layers, repeats = sum(load.layers[stage]) * load.packs, parallel.recompute != "none"
    forward, backward = tensor_exchanges(parallel)
    sent = (parallel.tensor - 1) / parallel.tensor * stream_bytes(parallel, load.rows, width, itemsize)
    hops = 2 * len(load.layers[0]) if parallel.pipeline > 1 else 0
    return Traffic(
        tensor=layers * (forward * (1 + repeats) + backward) * sent,
        context=layers * (2 + repeats) * context_bytes(parallel, load.rows, width, itemsize),
        pipeline=hops * load.packs * _sent_on(load),
        data=data_sent,
    )
