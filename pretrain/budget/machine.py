"""Machines that a recipe is planned for: the peak rates that makers publish, and the shares that software reaches.

There is one set of constants for every model and layout; Megatron-LM's published figures are the check
(`tests/pretrain/planner/test_megatron_table.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A kind of device, as its maker publishes it (SXM modules)."""

    flops_per_s: float
    """Dense bfloat16 FLOP/s."""
    float32_flops_per_s: float
    """FLOP/s of float32, without TF32."""
    memory_bytes: float
    memory_bytes_per_s: float
    nvlink_bytes_per_s: float
    """Bytes/s that a device sends to the others of its machine."""


GPUS = {
    "H100": Gpu(
        flops_per_s=989e12,
        float32_flops_per_s=67e12,
        memory_bytes=80e9,
        memory_bytes_per_s=3.35e12,
        nvlink_bytes_per_s=450e9,
    ),
    "H200": Gpu(
        flops_per_s=989e12,
        float32_flops_per_s=67e12,
        memory_bytes=141e9,
        memory_bytes_per_s=4.8e12,
        nvlink_bytes_per_s=450e9,
    ),
    "H800": Gpu(
        flops_per_s=989e12,
        float32_flops_per_s=67e12,
        memory_bytes=80e9,
        memory_bytes_per_s=3.35e12,
        nvlink_bytes_per_s=200e9,
    ),
    "A100": Gpu(
        flops_per_s=312e12,
        float32_flops_per_s=19.5e12,
        memory_bytes=80e9,
        memory_bytes_per_s=2.04e12,
        nvlink_bytes_per_s=300e9,
    ),
    "B200": Gpu(
        flops_per_s=2250e12,
        float32_flops_per_s=75e12,
        memory_bytes=180e9,
        memory_bytes_per_s=7.7e12,
        nvlink_bytes_per_s=900e9,
    ),
}
"""Kinds of device, by a part of the name that the device reports."""

MEMORY_SHARE = 0.9
"""Share of a device's memory that a plan may use; the rest is for workspaces, buckets and fragments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A cluster of equal nodes, and the shares of peak rates that whole training steps reach."""

    gpu: Gpu
    gpus_per_node: int = 8
    network_bytes_per_s: float = 50e9
    """Bytes/s that each device sends to other nodes: an adapter of 400 Gb/s for each."""
    latency_s: float = 20e-6
    """Latency in seconds of each hop of a collective, in addition to the time for its bytes."""
    products: float = 0.71
    """Share of the peak that wide matrix products reach; the best ones measured on an H200 reach 0.80 (790 TFLOP/s)."""
    products_half_width: float = 512.0
    """Width of a model at which products reach half of that share: in small models, partial tiles and kernel starts
    cost more."""
    attention_forward: float = 0.37
    """Share of the peak that FlashAttention-2's forward pass reaches with heads of 128 (375 TFLOP/s)."""
    attention_backward: float = 0.27
    """The same for its backward pass; its FLOPs do not include the scores that it recomputes (335 x 4 / 5)."""
    memory: float = 0.75
    """Share of the memory bandwidth that elementwise operations and the optimizer reach."""
    links: float = 0.75
    """Share of the rate of NVLink and of the network that collectives on large tensors reach."""
    launch_s: float = 6e-6
    """Seconds that the host needs to launch a kernel."""
    host_bytes_per_s: float = 30e9
    """Bytes/s of host memory bandwidth for each device of a node; an offloaded optimizer works there."""
    storage_bytes_per_s: float = 2e9
    """Bytes/s that a node writes to the store of checkpoints."""
    store_bytes_per_s: float = 200e9
    """Bytes/s that the store accepts from all nodes together."""
    copy_bytes_per_s: float = 20e9
    """Bytes/s at which a device's state is copied to its node's memory before a checkpoint is written."""
    checkpoint_pause_s: float = 1.0
    """Seconds that all processes need to agree on a checkpoint, in addition to the copy."""
    failures_per_gpu_hour: float = 419 / (54 * 24 * 16_384)
    """419 unexpected interruptions in 54 days on 16,384 H100 (Llama 3; Dubey et al. 2024, arXiv:2407.21783, §3.3.4)."""
    restart_s: float = 900.0
    """Seconds from a failure to the next step: to notice it, reschedule, start and load."""

    def products_share(self, width: int) -> float:
        """Share of the peak that the products of a model of this width reach."""
        return self.products * width / (width + self.products_half_width)


def known_gpu(name: str) -> str:
    """The key in `GPUS` for a device's name in any letter case. InputError if the device is not known."""
    names = {known.lower(): known for known in GPUS}
    if name.lower() not in names:
        raise InputError("gpu", name, "is not a device whose peak is known", f"use one of: {', '.join(names)}")
    return names[name.lower()]
