"""The tensor plan names what it means to name, cuts join to the whole, and layers are divided evenly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.configs.sizes import size as sized
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.parallel.cuts import PLAN, SEQUENCE_PLAN, cut_of, role_of, split_layers


@pytest.mark.parametrize("size", [1, 2, 4])
def test_cuts_join_to_the_whole(size: int) -> None:
    """join(cut(w)) == w for every parameter: an element lost or doubled here trains as another model."""
    model = VideoAR(recipe().model)
    init_weights(model, 0)
    for name, whole in model.named_parameters():
        cuts = [cut_of(name, rank, size) for rank in range(size)]
        if cuts[0] is None:
            assert cuts == [None] * size
            continue
        parts = [cut.of(whole) for cut in cuts if cut is not None]
        assert torch.equal(torch.cat(parts, dim=cuts[0].dim), whole), name


def test_every_matrix_of_a_block_is_cut_and_nothing_else() -> None:
    """A matrix the plan forgets is computed by every process: right, and as slow as one."""
    model = VideoAR(recipe().model)
    cut = {name for name, _ in model.named_parameters() if cut_of(name, 0, 2) is not None}
    assert cut == {name for name, parameter in model.named_parameters() if "blocks" in name and parameter.ndim == 2}


def test_a_column_cut_is_a_cut_by_heads() -> None:
    """qkv rows are ordered (head, [q, k, v]): the first half must hold the first heads, queries, keys and values."""
    model = VideoAR(recipe().model)
    cut = cut_of("blocks.0.attention.qkv.weight", 0, 2)
    assert cut is not None
    whole, c = model.blocks[0].attention.qkv.weight, recipe().model.head_dim
    heads = whole.view(recipe().model.num_heads, 3, c, -1)
    assert torch.equal(cut.of(whole).view(-1, 3, c, whole.shape[1]), heads[: len(heads) // 2])


def test_gains_between_layers_are_partial_only_under_sequence_parallelism() -> None:
    """Without it every process sees every token there, and a sum would double the gradient."""
    assert role_of("blocks.3.attention_norm", PLAN) is None
    assert role_of("blocks.3.attention_norm", SEQUENCE_PLAN) == "partial"
    assert role_of("blocks.3.attention.q_norm", PLAN) == "partial"
    assert role_of("head.norm", SEQUENCE_PLAN) is None


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 8, 24])
def test_layers_are_dealt_once_and_evenly(parts: int) -> None:
    """A stage with two layers more than another idles the rest of the pipeline for as long."""
    ranges = split_layers(sized("l"), parts)
    assert [layer for layers in ranges for layer in layers] == list(range(24))
    sizes = [len(layers) for layers in ranges]
    assert max(sizes) == -(-24 // parts)
    assert min(sizes) >= 1


def test_an_expensive_head_takes_layers_from_its_stage() -> None:
    """Embedding and head are not free: with a wide latent the ends get fewer layers."""
    wide = replace(sized("tiny"), num_layers=9, latent_dim=64 * 16 * sized("tiny").width // 16)
    first, middle, last = (len(layers) for layers in split_layers(wide, 3))
    assert last < middle
    assert first <= middle
