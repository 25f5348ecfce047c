"""The page docs/scale.md: the planner's own figures of 4 B on 8 to 4,096 H200, and of preparing data for it.

    python -m videoar.benchmarks.scale > docs/scale.md

Nothing here is measured on a GPU; `tests/benchmarks/test_scale.py` writes the page again and compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from videoar.benchmarks.scale_of_data import head, preparation, row
from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE, Machine
from videoar.pretrain.config import ParallelConfig, Recipe
from videoar.pretrain.planner.plan import Plan, StagePlan, plan
from videoar.pretrain.planner.report import amount, duration, seconds
from videoar.pretrain.planner.search import with_layouts

GPU = "H200"
_ALONE = ParallelConfig(zero_stage=1, compile=True)
_SHARED = replace(_ALONE, zero_stage=2)
_WIDE = replace(_SHARED, tensor=2, context=4, context_method="gather")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A number of devices, with the fastest layout of each stage that `videoar plan --search` finds there."""

    gpus: int
    layouts: tuple[ParallelConfig, ParallelConfig, ParallelConfig]
    batch: int = 1
    """Factor on the recipe's batch; the number of steps is divided by it."""

    def recipe(self) -> Recipe:
        """The 4 B recipe with these layouts."""
        base = t2v_4b()
        stages = tuple(
            replace(stage, batch=stage.batch * self.batch, steps=stage.steps // self.batch) for stage in base.stages
        )
        return with_layouts(replace(base, stages=stages), self.layouts)

    def plan(self) -> Plan:
        return plan(self.recipe(), gpus=self.gpus, gpu=GPU)


CLUSTERS = (
    Cluster(
        gpus=8,
        layouts=(
            replace(_ALONE, pipeline=2, virtual_pipeline=6),
            replace(_ALONE, pipeline=2, virtual_pipeline=6),
            replace(_ALONE, context=2),
        ),
    ),
    Cluster(gpus=64, layouts=(_ALONE, _ALONE, replace(_ALONE, context=2))),
    Cluster(gpus=512, layouts=(_SHARED, _SHARED, replace(_SHARED, context=2))),
    Cluster(gpus=4096, layouts=(_WIDE, _WIDE, replace(_WIDE, context=8))),
    Cluster(gpus=4096, layouts=(_SHARED, _SHARED, replace(_SHARED, context=2)), batch=8),
)

ASSUMPTIONS: dict[str, tuple[str, str]] = {
    "gpus_per_node": ("devices of a node, connected by NVLink", "HGX H200"),
    "network_bytes_per_s": (
        "bytes that each device sends to other nodes",
        "one adapter of 400 Gb/s for each, as in DGX H100",
    ),
    "latency_s": ("seconds per hop of a collective", "assumed"),
    "products": (
        "share of the peak that wide matrix products reach",
        "790 of 989 TFLOP/s were measured on an H200; less in a layer",
    ),
    "products_half_width": ("width at which matrix products reach half of that", "fitted to Megatron-LM's table"),
    "attention_forward": ("share of the peak, heads of 128", "FlashAttention-2, 375 TFLOP/s on H100"),
    "attention_backward": ("the same, backward", "335 TFLOP/s, of which 4/5 are counted"),
    "memory": ("share of 4.8 TB/s that elementwise work reaches", "assumed"),
    "links": ("share of the link rate that large collectives reach", "assumed"),
    "launch_s": ("seconds in which the host starts a kernel", "5 to 8 us are usual for PyTorch"),
    "storage_bytes_per_s": ("bytes that a node writes to the store", "assumed"),
    "store_bytes_per_s": ("bytes that the store accepts from all nodes", "assumed"),
    "copy_bytes_per_s": ("bytes from a device to its host before writing", "assumed: PCIe 5, shared"),
    "checkpoint_pause_s": ("seconds in which processes agree on a checkpoint", "assumed"),
    "failures_per_gpu_hour": ("419 failures in 54 days on 16,384 H100", "Llama 3, arXiv:2407.21783, section 3.3.4"),
    "restart_s": ("seconds from a failure to the next step", "assumed"),
}
"""Fields of `Machine`: their meaning, and the source of the value."""


def page() -> str:
    """The whole page."""
    plans = [cluster.plan() for cluster in CLUSTERS]
    return "\n".join([_BEGIN, *_steps(plans), *_runs(plans), *preparation(GPU), *_assumptions()]) + "\n"


_BEGIN = f"""# Scale, on paper

What `videoar plan` computes for the 4 B text-to-video recipe on 8 to 4,096 H200, and what preparing its data takes.
**These are estimates: we have run nothing of this size.** A command writes this page, and a test compares it:

```bash
python -m videoar.benchmarks.scale > docs/scale.md
videoar plan t2v_4b@512 --gpus 512 --search      # one of these plans, with every figure
```

Layouts are the fastest that `--search` finds with {MEMORY_SHARE:.0%} of a device's memory. Packs, batch and steps
are the recipe's, so the result of training is the same in every row but the last three.
"""
_STEPS = """
Exchanges are the share of a step in which a process waits for others: our engine does not overlap them with computing.
On 4,096 devices the recipe's batch of 512 packs leaves an eighth of a pack for each, and exchanges take a quarter of a
step or more; with eight times the batch (the last three rows) they take less, but that is another training run.
"""
_RUNS = """
A checkpoint has {size:.1f} GB: float32 masters, both moments, the moving average. Training waits while each process
copies its share to its host; writing continues in the background. The interval is Young's and Daly's best. Goodput is
the share of the time that is left after these waits, half an interval lost at each failure, and restarts.
"""
_CONSTANTS = """
An {name}: {tflops:.0f} TFLOP/s in bfloat16, {memory:.0f} GB at {rate:.1f} TB/s, {nvlink:.0f} GB/s of NVLink each way
(published). The constants below (`pretrain/budget/machine.py`) are the same for every model and layout. With them the
estimate gives Megatron-LM's published 41, 47, 49 and 42 % for 1.7 to 70 B on H100 within 15 %
(`tests/pretrain/planner/test_megatron_table.py`). Replicas are assumed to have equal work.
"""


def _steps(plans: Sequence[Plan]) -> Iterator[str]:
    """A row for each cluster and stage."""
    yield "## A step"
    yield ""
    yield from head(
        "GPUs", "Stage", "Layout", "Packs a replica", "Step", "Tokens/s", "MFU", "Exchanges", "Bubble", "Memory"
    )
    for cluster, planned in zip(CLUSTERS, plans, strict=True):
        for stage in planned.stages:
            yield row(
                _devices(cluster),
                stage.name,
                _layout(stage),
                f"{stage.packs_per_replica}",
                seconds(stage.step_s),
                amount(stage.tokens_per_s),
                f"{stage.mfu:.1%}",
                f"{stage.time.communication_s / stage.step_s:.1%}",
                f"{stage.time.bubble:.1%}",
                f"{stage.memory.total / 1e9:.0f} GB",
            )
    yield _STEPS


def _runs(plans: Sequence[Plan]) -> Iterator[str]:
    """A row for each cluster: the run as a whole."""
    yield "## A run of all three stages"
    yield ""
    yield from head(
        "GPUs",
        "MFU",
        "Time",
        "GPU-hours",
        "Failure every",
        "Checkpoint",
        "Wait",
        "Interval",
        "Goodput",
        "With failures",
    )
    for cluster, planned in zip(CLUSTERS, plans, strict=True):
        run = planned.long_run
        yield row(
            _devices(cluster),
            f"{planned.mfu:.1%}",
            duration(planned.hours),
            f"{planned.gpu_hours:,.0f}",
            duration(run.mean_time_to_failure_s / 3600),
            seconds(run.write_s),
            seconds(run.blocked_s),
            duration(run.interval_s / 3600),
            f"{run.goodput:.1%}",
            duration(planned.hours / run.goodput),
        )
    yield _RUNS.format(size=plans[0].checkpoint_bytes / 1e9)


def _assumptions() -> Iterator[str]:
    machine = Machine(gpu=GPUS[GPU])
    gpu = machine.gpu
    yield "## Assumptions"
    yield _CONSTANTS.format(
        name=GPU,
        tflops=gpu.flops_per_s / 1e12,
        memory=gpu.memory_bytes / 1e9,
        rate=gpu.memory_bytes_per_s / 1e12,
        nvlink=gpu.nvlink_bytes_per_s / 1e9,
    )
    yield from head("Constant", "Value", "What", "Source")
    for name, (what, source) in ASSUMPTIONS.items():
        yield row(f"`{name}`", f"{getattr(machine, name):.3g}", what, source)


def _devices(cluster: Cluster) -> str:
    return f"{cluster.gpus:,}" + (f", batch x {cluster.batch}" if cluster.batch > 1 else "")


def _layout(stage: StagePlan) -> str:
    parallel = stage.parallel
    words = [
        f"{name} {getattr(parallel, field)}"
        for name, field in (("tensor", "tensor"), ("pipeline", "pipeline"), ("chunks", "virtual_pipeline"))
        if getattr(parallel, field) > 1
    ]
    if parallel.context > 1:
        words.append(f"context {parallel.context} ({parallel.context_method})")
    return ", ".join([*words, f"ZeRO {parallel.zero_stage}"])


if __name__ == "__main__":
    sys.stdout.write(page())
