"""FlexAttention under the block mask of a pack equals attention under the dense mask."""

from __future__ import annotations

import random

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.flex import TABLE, block_mask, flex_attention_of
from videoar.pretrain.model.attention.layout import TextAttention, indices

from .layouts import clip, inputs, random_layout

CPU = torch.device("cpu")


@pytest.mark.parametrize("text", ["full", "causal"])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_the_output_is_that_under_the_mask(text: TextAttention) -> None:
    """On a CPU FlexAttention has no backward: its mask is checked forward, for all rows and for some."""
    seed = random.SystemRandom().randrange(2**32)
    for number in range(seed, seed + 3):
        layout = random_layout(number, text)
        third = layout.length // 3
        for queries in ((range(layout.length),), (range(2 * third, layout.length), range(1, third))):
            rows = torch.from_numpy(indices(queries))
            q, k, v = (part.detach() for part in inputs(layout, rows=len(rows)))
            expected = choose(layout, CPU, "reference", queries)(0, q, k, v)
            k[torch.from_numpy(layout.sample < 0)] = torch.nan
            found = flex_attention_of(layout, CPU, queries)(0, q, k, v)
            error = (found - expected).abs().max()
            assert error < 1e-10, f"layout {number} differs by {error}"


def test_training_on_a_cpu_is_refused() -> None:
    """FlexAttention has no backward there: its own error comes in the middle of a step, and names no setting."""
    layout = clip(2, 2)
    with pytest.raises(InputError, match=r"parallel.attention=flex: has no backward on a CPU; use auto or flash there"):
        choose(layout, CPU, "flex")(0, *inputs(layout))


def test_blocks_are_full_partial_or_empty_as_the_mask_says() -> None:
    """A block that is wrongly full leaks the future; one that is wrongly partial is slow."""
    layout = clip(6, 2)
    mask = block_mask(layout, CPU, (range(layout.length),))
    dense = layout.dense_mask()
    blocks = -(-layout.length // 128)
    full = torch.zeros(blocks, blocks, dtype=torch.bool)
    some = torch.zeros(blocks, blocks, dtype=torch.bool)
    for row, key in torch.cartesian_prod(torch.arange(blocks), torch.arange(blocks)).tolist():
        part = dense[row * 128 : row * 128 + 128, key * 128 : key * 128 + 128]
        full[row, key], some[row, key] = part.all(), part.any()
    assert mask.full_kv_indices is not None
    assert mask.full_kv_num_blocks is not None
    for row in range(blocks):
        listed = mask.full_kv_indices[0, 0, row, : mask.full_kv_num_blocks[0, 0, row]]
        assert sorted(listed.tolist()) == full[row].nonzero()[:, 0].tolist()
        listed = mask.kv_indices[0, 0, row, : mask.kv_num_blocks[0, 0, row]]
        assert sorted(listed.tolist()) == (some & ~full)[row].nonzero()[:, 0].tolist()


def test_the_table_of_who_sees_whom_has_one_size() -> None:
    """FlexAttention compiles for the shapes of what its mask reads: eight kinds of packs would end compiling."""
    masks = [block_mask(random_layout(number), CPU, (range(9),)) for number in range(20)]
    captured = [cell.cell_contents for mask in masks for cell in (mask.mask_mod.__closure__ or ())]
    inner = [cell.cell_contents for one in captured if callable(one) for cell in (one.__closure__ or ())]
    assert {part.numel() for part in inner if isinstance(part, torch.Tensor) and part.dtype == torch.bool} == {TABLE}
