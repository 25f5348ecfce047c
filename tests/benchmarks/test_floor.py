"""The least time of work on a device."""

from __future__ import annotations

import pytest
import torch

from videoar.benchmarks import floor
from videoar.benchmarks.floor import Peaks, Work, peaks

CPU = torch.device("cpu")
product_rate, copy_rate = floor._product_rate, floor._copy_rate  # the fixture of this folder replaces them


def test_the_floor_is_the_larger_of_arithmetic_and_memory() -> None:
    """Their sum would call a kernel that overlaps both faster than possible."""
    rates = Peaks(100.0, 10.0, "published")
    assert rates.floor_s(Work(200.0, 10.0)) == 2.0
    assert rates.bound(Work(200.0, 10.0)) == "flops"
    assert rates.floor_s(Work(200.0, 50.0)) == 5.0
    assert rates.bound(Work(200.0, 50.0)) == "bytes"


@pytest.mark.parametrize(("name", "bytes_per_s"), [("NVIDIA H100 80GB HBM3", 3.35e12), ("NVIDIA H200", 4.8e12)])
def test_a_known_gpu_has_published_rates_in_bf16(
    name: str, bytes_per_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 its tensor cores have another rate, which is measured."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    gpu = torch.device("cuda")
    assert peaks(gpu, torch.bfloat16) == Peaks(989e12, bytes_per_s, "published")
    assert peaks(gpu, torch.float32).source == "measured"
    assert peaks(CPU, torch.bfloat16).source == "measured"


def test_rates_of_a_cpu_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of 1024 x 1024 matrices is 2 x 1024^3 FLOPs, a copy reads and writes every byte."""
    monkeypatch.setattr(floor, "_least_s", lambda call, device: (call(), 0.5)[1])
    assert product_rate(CPU, torch.float32) == 2 * 1024**3 / 0.5
    assert copy_rate(CPU) == 2 * 4 * 2**26 / 0.5
