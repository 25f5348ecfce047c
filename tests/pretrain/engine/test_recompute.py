"""Recomputation and compilation of the same block. In a process of its own: shape checks are not compiled."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, torch, torch.nn.functional as F
from videoar.pretrain.config import ModelConfig, ParallelConfig
from videoar.pretrain.engine.recompute import prepare_blocks
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.rope import rotation

def attend(layer, q, k, v):
    return F.scaled_dot_product_attention(*(part.transpose(0, 1)[None] for part in (q, k, v)))[0].transpose(0, 1)

graphs = []
plain = torch.compile
def counting(function, **options):
    return plain(function, **options | {"backend": lambda graph, inputs: graphs.append(graph) or graph.forward})
torch.compile = counting
model = VideoAR(ModelConfig(num_layers=2, width=32, num_heads=2))
prepare_blocks(model, ParallelConfig(compile=True, recompute=sys.argv[1]))
x = torch.randn(16, 32, requires_grad=True)
for block in model.blocks:
    x = block(x, rotation(torch.rand(16, 3), 16, 1e4), attend)
x.sum().backward()
print(len(graphs))
"""


@pytest.mark.parametrize("mode", ["none", "selective", "full"])
def test_recomputed_blocks_are_compiled(mode: str) -> None:
    """Recipes ask for both; a block that torch.compile passes over in silence runs, slowly."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, mode], capture_output=True, text=True, timeout=120, check=True
    )
    assert int(done.stdout) >= 1, "no graph was captured"
