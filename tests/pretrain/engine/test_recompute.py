"""Recomputation and compilation of the same block. In a process of its own: shape checks are not compiled."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from videoar.pretrain.budget.activations import activation_bytes
from videoar.pretrain.config import ModelConfig, ParallelConfig

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys, numpy as np, torch
from videoar.pretrain.config import ModelConfig, ParallelConfig
from videoar.pretrain.engine.recompute import prepare_blocks
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.rope import rotation
from videoar.tokenizer.scales import ScaleSchedule

from torch._dynamo.backends.debugging import aot_eager_decomp_partition

graphs, plain = [], torch.compile
def backend(graph, inputs):
    graphs.append(graph)
    return aot_eager_decomp_partition(graph, inputs)
torch.compile = lambda function, **options: plain(function, **options | {"backend": backend})

def kept(model, step, rows):
    saved = {}
    def note(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor
    visible = np.tril(np.random.default_rng(step).random((3, 3)) < 0.5, -1)
    segment = Segment(ScaleSchedule.named("64x64"), 3, 2 + step, 0, visible)
    attend = choose(PackLayout((segment,), rows), "cpu")
    x = torch.randn(rows, 64, requires_grad=True) * 1
    turn = rotation(torch.rand(rows, 3), 32, 1e4)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        for block in model.blocks:
            x = block(x, turn, attend)
    for known in (*model.parameters(), *turn):
        saved.pop(known.untyped_storage().data_ptr(), None)
    x.sum().backward()
    return sum(saved.values())

model = VideoAR(ModelConfig(num_layers=2, width=64, num_heads=2))
prepare_blocks(model, ParallelConfig(compile=True, recompute=sys.argv[1]))
for step in range(3):
    less = kept(model, step, 256)
steps = len(graphs)
print(json.dumps({"graphs": steps, "kept": kept(model, 0, 512) - less}))
"""


@pytest.mark.parametrize(
    "mode", [*(pytest.param(mode, marks=pytest.mark.drill) for mode in ("none", "full")), "selective"]
)
def test_blocks_compile_once_and_keep_what_the_budget_counts(mode: str) -> None:
    """All blocks and all packs of a stage share two graphs: a pack's plan must not compile them again."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, mode], capture_output=True, text=True, timeout=240, check=True
    )
    found = json.loads(done.stdout)
    assert found["graphs"] == 2, "one before attention, one after it"
    config, parallel = ModelConfig(num_layers=2, width=64, num_heads=2), ParallelConfig(compile=True, recompute=mode)
    if mode == "full":  # what is kept for a checkpoint's second run is not a saved tensor
        return
    told = activation_bytes(config, parallel, 256, "float32")
    if mode == "selective":
        told -= activation_bytes(config, ParallelConfig(), 256, "float32") // 2
    assert told == pytest.approx(found["kept"], rel=0.05)
