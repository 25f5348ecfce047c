"""Every layout of processes trains as one process does: first-step gradients, and curves through the three stages.

Gradients are read where every layout writes them alike, in the checkpoint after one step: Adam's first moment is then
(1 - beta_1) times the (clipped) gradient.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import ProcessRaisedException

from videoar.benchmarks.processes import run_processes
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, step_name
from videoar.pretrain.run_folder import read_lines

from .worker import EXTREMES, train_layout

pytestmark = pytest.mark.slow

LAYOUTS: dict[int, dict[str, dict[str, Any]]] = {
    1: {
        "recompute-full": {"recompute": "full"},
        "recompute-selective": {"recompute": "selective"},
        "compiled": {"compile": True, "recompute": "selective"},
    },
    2: {
        "data2": {},
        "tensor2": {"tensor": 2},
        "tensor2-whole-sequence": {"tensor": 2, "sequence": False},
        "pipeline2": {"pipeline": 2},
        "interleaved2": {"pipeline": 2, "virtual_pipeline": 2},
        "ulysses2": {"context": 2},
        "gather2": {"context": 2, "context_method": "gather"},
        "zero1": {"zero_stage": 1},
        "zero2": {"zero_stage": 2},
        "zero3": {"zero_stage": 3},
        "zero2-offload": {"zero_stage": 2, "offload": True},
    },
    4: {
        "pipeline4": {"pipeline": 4},
        "data4-zero1": {"zero_stage": 1},
        "tensor2-pipeline2": {"tensor": 2, "pipeline": 2, "zero_stage": 1},
        "tensor2-zero2": {"tensor": 2, "zero_stage": 2},
        "tensor2-zero3-recompute": {"tensor": 2, "zero_stage": 3, "recompute": "full"},
        "tensor2-ulysses2": {"tensor": 2, "context": 2, "zero_stage": 1},
        "pipeline2-gather2-recompute": {"pipeline": 2, "context": 2, "context_method": "gather", "recompute": "full"},
        "interleaved2-data2-zero1": {"pipeline": 2, "virtual_pipeline": 2, "zero_stage": 1},
    },
    8: {"tensor2-pipeline2-context2": {"tensor": 2, "pipeline": 2, "context": 2, "zero_stage": 1}},
}
DRILLS = (
    "data4-zero1",
    "tensor2-zero2",
    "tensor2-zero3-recompute",
    "pipeline2-gather2-recompute",
    "interleaved2-data2-zero1",
    "tensor2-pipeline2-context2",
)
"""Layouts of four and eight processes whose parts other layouts show two by two."""
BF16: dict[int, dict[str, dict[str, Any]]] = {
    1: {"plain-bf16": {"precision": "bf16"}},
    2: {
        f"{name}-bf16": fields | {"precision": "bf16", "zero_stage": max(1, fields.get("zero_stage", 0))}
        for name, fields in LAYOUTS[2].items()
        if name not in ("data2", "zero2-offload")
    },
}
BROKEN: dict[str, dict[str, str | None]] = {
    "a-missing-sum": {r"blocks\.\d+\.attention\.(q_norm|k_norm)": None},
    "a-doubled-sum": {r"blocks\.\d+\.(attention_norm|feed_forward_norm)": "partial"},
}
"""Plans with one entry wrong; without sequence parallelism, where a norm between layers sees every token."""
OFTEN_EXTREME = ("data2", "tensor2", "pipeline2", "zero1", "zero2-offload", "zero3")
"""Each way to the optimizer; extreme settings of the other layouts of two processes are a drill."""
CASES = [(count, name) for count, layouts in LAYOUTS.items() for name in layouts]
CASES_BF16 = [(2, name) for name in BF16[2]]
OFTEN_BF16 = ("tensor2-bf16",)
"""The others have the same optimizer (ZeRO 1), and their cuts are shown in float32."""


class Runs:
    """Trains each layout when the first test asks for it, in processes of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self.of, self.with_extremes, self.whole = cache(self._of), cache(self._with_extremes), cache(self._whole)

    def _of(self, processes: int, name: str, packs: int | None = None) -> Path:
        fields = ({"plain": {}} | LAYOUTS[processes] | BF16.get(processes, {}))[name]
        packs = packs or num_packs(processes, fields)
        return self.train(
            processes, self._folder / f"{name}-{packs}", fields, packs, extremes=name in ("plain", *OFTEN_EXTREME)
        )

    def _whole(self, processes: int, name: str, packs: int) -> Path:
        """The run of a layout through every step of the debug recipe."""
        fields = ({"plain": {}} | LAYOUTS[processes])[name]
        return self.train(processes, self._folder / f"{name}-{packs}-whole", fields, packs, whole=True)

    def _with_extremes(self, name: str) -> Path:
        """The run of a layout of two processes; those with extreme settings are next to it."""
        if name in OFTEN_EXTREME:
            return self.of(2, name)
        fields = LAYOUTS[2][name]
        return self.train(2, self._folder / f"{name}-again", fields, num_packs(2, fields), extremes=True)

    def train(
        self,
        processes: int,
        run: Path,
        fields: dict[str, Any],
        packs: int,
        broken: dict[str, str | None] | None = None,
        *,
        extremes: bool = False,
        whole: bool = False,
    ) -> Path:
        """The run directory of a layout."""
        arguments = {"run": str(run), "url": self._url, "packs": packs, "fields": fields, "broken": broken}
        run_processes(processes, train_layout, arguments | {"extremes": extremes, "whole": whole})
        return run


def num_packs(processes: int, fields: dict[str, Any]) -> int:
    """Packs a step: each of one or two replicas accumulates two, each of four has one."""
    replicas = processes
    for axis in ("tensor", "pipeline", "context"):
        replicas //= fields.get(axis, 1)
    return 2 if replicas == 1 else 4


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, debug_data: str) -> Runs:
    return Runs(tmp_path_factory.mktemp("layouts"), debug_data)


def curve(run: Path, field: str) -> torch.Tensor:
    return torch.tensor([record[field] for record in read_lines(run / "metrics.jsonl")], dtype=torch.float64)


def assert_equal_curves(sharded: Path, plain: Path) -> None:
    assert torch.allclose(curve(sharded, "loss")[0], curve(plain, "loss")[0], rtol=1e-5, atol=0)
    assert torch.allclose(curve(sharded, "loss"), curve(plain, "loss"), rtol=1e-4, atol=0)
    assert torch.equal(curve(sharded, "flip_ratio"), curve(plain, "flip_ratio"))
    assert torch.equal(curve(sharded, "tokens"), curve(plain, "tokens"))
    assert (curve(plain, "grad_norm") > 0.05).all(), "clipping is meant to be part of this test"


def gradients(run: Path) -> dict[str, torch.Tensor]:
    return state_of(run, "exp_avg", step=1)


def state_of(run: Path, state: str, step: int) -> dict[str, torch.Tensor]:
    saved = Checkpoint(Storage.open(str(run / "checkpoints")).child(step_name(step)))
    return {name: saved.read(name, state) for name in saved.parameters} if saved.has(state) else {}


@pytest.mark.parametrize(
    ("processes", "name"),
    [pytest.param(*case, marks=[pytest.mark.drill] if case[1] in DRILLS else []) for case in CASES],
    ids=[name for _, name in CASES],
)
def test_layout_equals_one_process(runs: Runs, processes: int, name: str) -> None:
    """A wrong cut, a missing or doubled sum, or another draw shows in some gradient of the first step."""
    packs = num_packs(processes, LAYOUTS[processes][name])
    plain, sharded = runs.of(1, "plain", packs), runs.of(processes, name)
    expected, found = gradients(plain), gradients(sharded)
    assert expected.keys() == found.keys()
    for parameter, gradient in expected.items():
        error = (found[parameter] - gradient).norm() / gradient.norm()
        assert error <= 1e-5, f"{parameter}: {error:.1e}"
    assert_equal_curves(sharded, plain)


@pytest.mark.drill
@pytest.mark.parametrize(("processes", "name"), CASES, ids=[name for _, name in CASES])
def test_the_whole_curve_is_that_of_one_process(runs: Runs, processes: int, name: str) -> None:
    """Twenty steps of the debug recipe, where the others take eight: what differs by little has longer to grow."""
    packs = num_packs(processes, LAYOUTS[processes][name])
    assert_equal_curves(runs.whole(processes, name, packs), runs.whole(1, "plain", packs))


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN_EXTREME else [pytest.mark.drill]) for name in LAYOUTS[2]]
)
def test_extreme_settings_mean_the_same_under_every_layout(runs: Runs, name: str, extreme: str) -> None:
    """No clipping is written as 0 by one library and as infinity by another: one of them would train to nothing."""
    packs = num_packs(2, LAYOUTS[2][name])
    plain, layout = (Path(f"{run}-{extreme}") for run in (runs.of(1, "plain", packs), runs.with_extremes(name)))
    for field in ("loss", "grad_norm", "learning_rate"):
        assert torch.allclose(curve(layout, field), curve(plain, field), rtol=1e-3, atol=0), field
    for state in ("master", "exp_avg", "ema"):
        expected, found = (state_of(run, state, step=3) for run in (plain, layout))
        assert expected.keys() == found.keys()
        for parameter, tensor in expected.items():
            assert (found[parameter] - tensor).norm() <= 1e-3 * tensor.norm(), f"{state} of {parameter}"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plan_is_found(runs: Runs, tmp_path: Path, name: str) -> None:
    """The parity test must be able to fail: with one entry of the plan wrong, some gradient is wrong."""
    run = runs.train(2, tmp_path, {"tensor": 2, "sequence": False}, 2, BROKEN[name])
    expected, found = gradients(runs.of(1, "plain", 2)), gradients(run)
    errors = [(found[parameter] - gradient).norm() / gradient.norm() for parameter, gradient in expected.items()]
    assert max(errors) > 0.1


def test_a_row_cut_as_a_column_does_not_run(runs: Runs, tmp_path: Path) -> None:
    """Its input is cut already; the product cannot be formed."""
    broken = {r"blocks\.\d+\.feed_forward\.down": "column"}
    with pytest.raises(ProcessRaisedException, match="cannot be multiplied"):
        runs.train(2, tmp_path, {"tensor": 2, "sequence": False}, 2, broken)


@pytest.mark.parametrize(
    ("processes", "name"),
    [pytest.param(*case, marks=[] if case[1] in OFTEN_BF16 else [pytest.mark.drill]) for case in CASES_BF16],
    ids=[name for _, name in CASES_BF16],
)
def test_bf16_layout_equals_one_bf16_replica(runs: Runs, processes: int, name: str) -> None:
    """The production path has its own optimizer in DeepSpeed: gradients counted twice there are off by a factor."""
    packs = num_packs(processes, BF16[processes][name])
    zero1, layout = runs.of(2, "zero1-bf16", packs), runs.of(processes, name)
    plain = runs.of(1, "plain-bf16", packs)
    assert torch.allclose(curve(layout, "grad_norm")[0], curve(zero1, "grad_norm")[0], rtol=1e-3, atol=0)
    assert torch.allclose(curve(layout, "grad_norm")[0], curve(plain, "grad_norm")[0], rtol=5e-3, atol=0)
    assert torch.allclose(curve(layout, "loss")[:3], curve(plain, "loss")[:3], rtol=1e-3, atol=0)
    assert torch.allclose(curve(layout, "loss"), curve(plain, "loss"), rtol=5e-2, atol=0)
