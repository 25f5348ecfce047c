"""The rates of this device, from which floors are computed: measured now, next to the maker's published rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from videoar.benchmarks.cases import Options, Row, Size
from videoar.benchmarks.floor import measured_peaks, peaks

_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
CASES: Mapping[Size, Mapping[str, torch.dtype]] = {"toy": _TYPES, "cpu": _TYPES, "gpu": _TYPES}


def rows(options: Options) -> Iterator[Row]:
    """A row for each type of number."""
    for name, dtype in options.chosen(CASES):
        measured, used = measured_peaks(options.device, dtype), peaks(options.device, dtype)
        yield {
            "case": name,
            "flops_per_s": measured.flops_per_s,
            "bytes_per_s": measured.bytes_per_s,
            "peak_flops_per_s": used.flops_per_s,
            "peak_bytes_per_s": used.bytes_per_s,
            "peaks": used.source,
            **_memory(options.device),
        }


def _memory(device: torch.device) -> Row:
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"free_bytes": free, "total_bytes": total}
