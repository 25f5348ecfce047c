"""Checks of numbers and attention by computing them, because what the hardware reports may be wrong."""

from __future__ import annotations

import torch

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.finding import Finding


def bf16() -> Finding:
    """Whether a bfloat16 product is right."""
    device = _device()
    one = torch.ones(16, 16, dtype=torch.bfloat16, device=device)
    if not torch.equal(one @ one, 16 * one):
        return failed("bf16", "wrong product", "use precision=float32")
    return ok("bf16", f"computed on the {device.type}")


def cpu_bf16() -> Finding:
    """Whether a CPU computes in bf16 (AVX512-BF16 or AMX); others are slower in it than in float32."""
    features = [name for name in ("avx512_bf16", "amx_bf16") if _has(name)]
    if features:
        return ok("CPU bf16", ", ".join(features))
    if torch.cuda.is_available():
        return ok("CPU bf16", "the CPU has none; training is on the GPU")
    return warned("CPU bf16", "neither AVX512-BF16 nor AMX", "use precision=float32 on this CPU: bf16 is slower here")


def attention() -> Finding:
    """A real call of every backend that could be used here, forward and backward, compared with the reference."""
    from videoar.pretrain.model.attention.selfcheck import selfcheck, usable_backends

    device = _device()
    remedy = "train with --parallel.attention reference"
    lines, broken = [], []
    chosen, *others = usable_backends(device)
    for backend in (chosen, *others):
        try:
            check = selfcheck(device, backend)
        except RuntimeError as error:
            broken.append(backend)
            lines.append(f"{backend}: {' '.join(str(error).split())[:120]}")
            continue
        lines.append(f"{check.kernels} within {check.error:.0e} of float64")
        if not check.error <= check.allowed:  # a NaN is not either
            broken.append(backend)
            lines[-1] += f", allowed {check.allowed:.0e}"
    found = "; ".join(lines)
    if chosen in broken:
        return failed("attention", found, remedy, broken=broken)
    if broken:
        return warned("attention", found, f"do not set parallel.attention={'|'.join(broken)} here", broken=broken)
    return ok("attention", found)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _has(feature: str) -> bool:
    """Whether the CPU reports a feature; torch's names for them are private, and change."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as described:
            return any(feature in line.split() for line in described if line.startswith("flags"))
    except OSError:
        return False
