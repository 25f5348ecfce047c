"""The training benchmark measures whole steps of models that fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from videoar.benchmarks.cases import Options
from videoar.benchmarks.train import CASES, fitting, planned_bytes, rows
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.config import ParallelConfig

pytestmark = pytest.mark.slow


def test_ours_and_llama_train_on_one_pack() -> None:
    """Both are measured on the same tokens and pairs, and MFU is useful FLOPs over the peak."""
    options = Options(size="toy", patterns=("*float32",), repeats=1, device=torch.device("cpu"))
    ours, llama = rows(options)
    assert (ours["subject"], llama["subject"]) == ("videoar", "llama")
    assert ours["flops"] == llama["flops"]
    assert ours["tokens"] == 8 + 8 * 30  # text, and eight frames of 1 + 4 + 9 + 16 tokens
    model = CASES["toy"]["256 width 64 float32"].model
    assert ours["flops"] == training_flops(model, 248, float(ours["attended_pairs"]))
    assert ours["mfu"] == ours["flops"] / ours["wall_s"] / 1e11
    assert ours["over_llama"] > 0
    assert ours["pack_s"] > 0
    assert "over_llama" not in llama


@pytest.mark.parametrize("name", CASES["gpu"])
def test_a_case_of_the_gpu_has_a_recipe_and_fits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs for the first time on a machine that is rented by the minute; 79 GiB are an H100's."""
    case = CASES["gpu"][name]
    memory = SimpleNamespace(total_memory=79 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    parallel = fitting(case, torch.device("cuda"))
    assert planned_bytes(case.recipe(parallel)) < 79 << 30
    memory.total_memory = 1000 << 30
    assert fitting(case, torch.device("cuda")) == ParallelConfig()
    memory.total_memory = 8 << 30
    with pytest.raises(InputError, match="does not fit this GPU"):
        fitting(case, torch.device("cuda"))
