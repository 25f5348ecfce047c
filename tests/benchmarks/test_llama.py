"""The model that ours is compared with."""

from __future__ import annotations

import pytest
import torch

from videoar.benchmarks.llama import Llama, LlamaStep
from videoar.benchmarks.material import full_pack
from videoar.benchmarks.train import CASES
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model import VideoAR

pytestmark = pytest.mark.slow

CASE = CASES["toy"]["256 width 64 float32"]


def test_llama_has_as_many_weights_in_its_layers() -> None:
    """A comparison with a smaller model would flatter the smaller one."""

    def weights(blocks: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in blocks.parameters() if parameter.ndim == 2)

    llama = Llama(CASE.model, 8)
    assert weights(llama.layers.layers) == weights(VideoAR(CASE.model).blocks) == 2 * 16 * 64**2
    assert llama.layers.config._attn_implementation == "sdpa"


def test_a_step_of_llama_trains_it() -> None:
    """Rows of padding attend to nothing: without care they give NaN, which costs as much time as a real step."""
    torch.manual_seed(0)
    recipe = CASE.recipe(ParallelConfig())
    pack = full_pack(recipe, CASE.schedule, CASE.frames, torch.device("cpu"))
    step = LlamaStep(recipe, pack, torch.device("cpu"))
    before = [parameter.clone() for parameter in step.model.layers.layers.parameters()]
    step._optimizer.param_groups[0]["lr"] = step._optimizer.param_groups[1]["lr"] = 1e-3
    step()
    after = list(step.model.layers.layers.parameters())
    assert all(bool(torch.isfinite(parameter).all()) for parameter in after)
    assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
