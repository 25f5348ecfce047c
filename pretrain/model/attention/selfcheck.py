"""A real call of each attention that a device has, compared with the reference: what `videoar doctor` reports."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.attention.backends import BACKENDS, backend_for, check_backend, choose
from videoar.pretrain.model.attention.flash_cpu import CpuFlash
from videoar.pretrain.model.attention.flash_cuda import activate_kernels
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer.scales import ScaleSchedule

_HEAD_DIM = 64


@dataclass(frozen=True, slots=True)
class AttentionCheck:
    """What was found on a device."""

    kernels: str
    """Backend and kernels."""
    error: float
    """Largest difference of output and gradients from the reference in float64."""
    allowed: float
    """Twice the largest difference that the reference has in bf16."""


def usable_backends(device: torch.device) -> tuple[str, ...]:
    """The backends that can train on the device in bf16 with heads of 64 channels; the first is that of `auto`."""
    chosen, usable = backend_for(device, torch.bfloat16, _HEAD_DIM), []
    for backend in BACKENDS:
        with suppress(InputError):
            check_backend(backend, device, torch.bfloat16, _HEAD_DIM)
            usable.append(backend)
    return chosen, *(backend for backend in usable if backend != chosen)


def selfcheck(device: torch.device, backend: str = "auto") -> AttentionCheck:
    """Attend in bf16 over a clip with a masked frame, an image, causal text and padding, forward and backward."""
    layout, exact = _pack(), torch.float64
    generator = torch.Generator().manual_seed(0)
    q, k, v, upstream = torch.randn(4, layout.length, 2, _HEAD_DIM, generator=generator, dtype=exact).to(device)
    right = _results(layout, device, "reference", exact, (q, k, v, upstream))
    error, allowed = (
        max((one - other).abs().max().item() for one, other in zip(found, right, strict=True))
        for found in (
            _results(layout, device, name, torch.bfloat16, (q, k, v, upstream)) for name in (backend, "reference")
        )
    )
    named = backend_for(device, torch.bfloat16, _HEAD_DIM) if backend == "auto" else backend
    return AttentionCheck(kernels_of(named, device), error, 2 * allowed)


def kernels_of(backend: str, device: torch.device) -> str:
    """Name of a backend and of its kernels on a device."""
    if backend == "flash" and device.type == "cuda":
        return f"flash ({activate_kernels()})"
    names = {"flash": CpuFlash.name, "flex": "flex (Triton)" if device.type == "cuda" else "flex (not compiled)"}
    return names.get(backend, f"{backend} (scaled_dot_product_attention with a mask)")


def _pack() -> PackLayout:
    schedule = ScaleSchedule.named("256x256")
    clip = Segment(schedule, 3, 5, 0, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], bool))
    image = Segment(ScaleSchedule.named("64x64"), 1, 2, clip.visual.stop, np.zeros((1, 1), bool))
    return PackLayout((clip, image), image.visual.stop + 7, "causal")


def _results(
    layout: PackLayout, device: torch.device, backend: str, dtype: torch.dtype, values: tuple[torch.Tensor, ...]
) -> list[torch.Tensor]:
    q, k, v, upstream = (part.detach().to(dtype) for part in values)
    inputs = tuple(part.requires_grad_() for part in (q, k, v))
    out = choose(layout, device, backend)(0, *inputs)
    return [part.double() for part in (out.detach(), *torch.autograd.grad(out, inputs, upstream))]
