"""Initial weights."""

from __future__ import annotations

from dataclasses import replace

import torch

from videoar.pretrain.model import VideoAR, init_weights


def test_initial_weights_depend_on_seed_and_name(toy) -> None:
    """Any sharding must cut the same weights: neither construction order nor the global seed may matter."""
    torch.manual_seed(1)
    one = VideoAR(toy.config)
    init_weights(one, 7)
    torch.manual_seed(2)
    deeper = VideoAR(replace(toy.config, num_layers=5))
    init_weights(deeper, 7)
    other = VideoAR(toy.config)
    init_weights(other, 8)
    state, deep, elsewhere = one.state_dict(), deeper.state_dict(), other.state_dict()
    assert torch.equal(state["blocks.1.attention.qkv.weight"], deep["blocks.1.attention.qkv.weight"])
    for name, value in state.items():
        if "norm" not in name:
            assert not torch.equal(value, elsewhere[name]), name
    outputs = [state[f"blocks.{i}.{name}.weight"] for i in range(3) for name in ("attention.out", "feed_forward.down")]
    assert all(abs(value.std() - 0.02 / 6**0.5) < 1e-3 for value in outputs)
