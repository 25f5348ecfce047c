"""The attention benchmark compares equal work, and says what it could not run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from videoar.benchmarks import attention
from videoar.benchmarks.attention import CASES, rows
from videoar.benchmarks.cases import Options

OPTIONS = Options(
    size="toy", patterns=("512 masked bf16",), repeats=1, backends=("reference", "none"), device=torch.device("cpu")
)


@pytest.mark.slow
def test_every_subject_has_a_line_for_each_pass() -> None:
    """An unknown backend is a line with its reason, and the others still run."""
    missing, *found = rows(OPTIONS)
    assert missing["subject"] == "none"
    assert "is not a backend" in missing["unavailable"]
    assert [(row["subject"], row["pass"]) for row in found] == [
        ("torch causal", "forward"),
        ("torch causal", "forward+backward"),
        ("reference", "forward"),
        ("reference", "forward+backward"),
    ]
    causal, reference = found[1], found[3]
    assert math.isclose(causal["flops"], reference["flops"], rel_tol=0.01)
    assert reference["flops"] == 12 * reference["attended_pairs"] * 2 * 32
    assert 0 < reference["output_error"] < 0.01
    assert 0 < reference["gradient_error"] < 0.03


@pytest.mark.slow
def test_what_a_cpu_cannot_train_with_is_no_error() -> None:
    """The exit code of the command, and of a rehearsal, would be that of a broken backend."""
    found = list(rows(replace(OPTIONS, backends=())))
    assert [row["subject"] for row in found if "unavailable" in row] == ["flex"]
    assert not any("error" in row for row in found)
    assert {"reference", "flash"} < {row["subject"] for row in found}


@pytest.mark.slow
def test_a_backend_that_breaks_is_an_error_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory in one backend must not lose the figures of the others."""
    choose = attention.choose

    def broken(layout: object, device: object, backend: str) -> object:
        if backend == "none":
            raise RuntimeError("CUDA out of memory.\nTried to allocate")
        return choose(layout, device, backend)

    monkeypatch.setattr(attention, "choose", broken)
    failed, *found = rows(OPTIONS)
    assert failed["error"] == "CUDA out of memory."
    assert len(found) == 4


@pytest.mark.slow
def test_a_backend_that_computes_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that skips half of the pairs is twice as fast."""
    monkeypatch.setitem(attention.TOLERANCE, "bf16", 1e-4)
    _, differs, *_ = rows(replace(OPTIONS, backends=("none", "reference")))
    assert differs["error"] == "differs from the reference"
    assert differs["gradient_error"] > 1e-4


@pytest.mark.parametrize("name", CASES["gpu"])
def test_a_case_of_the_gpu_has_the_tokens_of_its_name(name: str) -> None:
    """It runs for the first time on a machine that is rented by the minute."""
    case = CASES["gpu"][name]
    (segment,) = case.layout().segments
    tokens = int(name.split()[0])
    assert tokens in (case.length, len(segment.visual))
    assert len(segment.visual) + segment.num_text <= case.length
    assert case.num_heads * case.head_dim == 2560
    assert ("masked" in name) == (case.p_mask > 0)
