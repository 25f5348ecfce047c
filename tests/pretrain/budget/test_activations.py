"""Bytes that are kept for backward, compared with what blocks, masks and whole steps really keep."""

from __future__ import annotations

import gc
from dataclasses import fields, replace
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoar.benchmarks.material import bench_recipe, make_packs, model_of
from videoar.configs.sizes import B4_HD128
from videoar.pretrain.budget.activations import activation_bytes, attention_bytes, mask_bytes
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import ModelConfig, ParallelConfig, Precision, Recipe
from videoar.pretrain.engine.plain import PlainEngine, forward_loss
from videoar.pretrain.engine.recompute import recomputed
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.attention.merge import Gradients
from videoar.pretrain.model.layers import Block
from videoar.pretrain.model.rope import rotation
from videoar.tokenizer.scales import ScaleSchedule


def test_packs_in_flight() -> None:
    """The first of four stages holds its quarter of the layers of four packs: what one device would."""
    whole = activation_bytes(B4_HD128, ParallelConfig(), 4096, "bf16")
    assert activation_bytes(B4_HD128, ParallelConfig(pipeline=4), 4096, "bf16") == whole
    interleaved = ParallelConfig(pipeline=4, virtual_pipeline=3)
    assert activation_bytes(B4_HD128, interleaved, 4096, "bf16") == whole * 5 // 4
    assert activation_bytes(B4_HD128, ParallelConfig(tensor=2, context=2), 4096, "bf16") == whole // 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_mask_is_what_attention_keeps(dtype: torch.dtype) -> None:
    """At 24,000 tokens a mask is larger than most tensors of the model: a copy too many decides what fits."""
    layers, heads = 3, 2
    config = ModelConfig(num_layers=layers, width=32, num_heads=heads)
    segment = Segment(ScaleSchedule.named("64x64"), 3, 1, 0, np.zeros((3, 3), bool))
    layout = PackLayout((segment,), 128)
    attend = choose(layout, "cpu", "reference")
    x = torch.randn(layout.length, heads, 16, dtype=dtype, requires_grad=True)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.shape[-2:] == (layout.length, layout.length):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = x
        for layer in range(layers):
            y = attend(layer, y, y, y)
    boolean = layout.dense_mask().nbytes
    precision: Precision = "bf16" if dtype == torch.bfloat16 else "float32"
    assert boolean + sum(kept.values()) == mask_bytes(config, ParallelConfig(), layout.length, precision)
    once = ParallelConfig(recompute="full", context=2, context_method="gather")
    assert mask_bytes(config, once, 128, precision) == 64 * 128 * (1 + dtype.itemsize)


def test_attention_needs_what_its_backward_adds_up() -> None:
    """A stage whose packs fit without these sums does not fit in its first backward."""
    config = ModelConfig(num_layers=2, width=32, num_heads=2)
    q, k, v = torch.zeros(3, 128, 2, 16, dtype=torch.bfloat16)
    sums = Gradients.zero(q, k, v)
    size = sum(part.nbytes for part in (sums.q, sums.k, sums.v))
    assert attention_bytes(config, ParallelConfig(), 128, "bf16") == size
    assert attention_bytes(config, ParallelConfig(context=2), 128, "bf16") == size // 2
    gather = ParallelConfig(context=2, context_method="gather", tensor=2)
    assert attention_bytes(config, gather, 128, "bf16") == (sums.q.nbytes // 2 + sums.k.nbytes + sums.v.nbytes) // 2
    dense = ParallelConfig(attention="reference")
    assert attention_bytes(config, dense, 128, "bf16") == mask_bytes(config, dense, 128, "bf16") > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("mode", ["none", "selective", "full"])
def test_what_a_block_keeps(mode: Literal["none", "selective", "full"], dtype: torch.dtype) -> None:
    """An operation added to the block, or one more result kept, moves the memory of every layer."""
    rows, width = 256, 64
    precision = "bf16" if dtype == torch.bfloat16 else "float32"
    config = ModelConfig(num_layers=1, width=width, num_heads=2)
    told = activation_bytes(config, ParallelConfig(recompute=mode), rows, precision)
    if mode != "none":  # the block that is being recomputed
        told -= activation_bytes(config, ParallelConfig(), rows, precision)
    more, less = (_kept(config, mode, dtype, count) for count in (2 * rows, rows))
    assert told == pytest.approx(more - less, rel=0.02)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("mode", ["none", "selective", "full"])
def test_what_a_step_keeps(mode: Literal["none", "selective", "full"], precision: Precision) -> None:
    """Blocks, embedding, head and loss of the plain engine together: a plan that fits must fit."""
    recipe = bench_recipe(model_of(num_layers=2, width=64, num_heads=2), tokens_per_pack=512, batch=1)
    recipe = replace(recipe, precision=precision, parallel=ParallelConfig(recompute=mode))
    told = rank_memory(recipe, recipe.stages[0], 1).activations
    if mode != "none":  # the block that is being recomputed, in backward
        told -= activation_bytes(recipe.model, ParallelConfig(), 512, precision) // 2
    assert told == pytest.approx(_kept_by_a_step(recipe), rel=0.1)


def _kept_by_a_step(recipe: Recipe) -> int:
    """Bytes of all tensors with the pack's rows that a forward pass leaves behind, the pack itself aside."""
    engine, (pack,) = PlainEngine(recipe, torch.device("cpu")), make_packs(recipe, 1)
    engine.plan(pack.layout)
    rows, saved = recipe.stages[0].tokens_per_pack, list[Tensor]()

    def note(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    given = {id(thing) for thing in gc.get_objects() if issubclass(type(thing), Tensor)}
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"),
    ):
        loss, _ = forward_loss(engine.model, pack, 1)
    held = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor) and id(thing) not in given]
    kept = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (*saved, *held) if _has(t, rows)}
    for known in (pack.weights, pack.targets, *(getattr(pack.inputs, field.name) for field in fields(pack.inputs))):
        kept.pop(known.untyped_storage().data_ptr(), None)
    del loss
    return sum(kept.values())


def _has(tensor: Tensor, rows: int) -> bool:
    return tensor.dim() > 0 and tensor.shape[0] == rows and tensor.device.type == "cpu"


def _kept(config: ModelConfig, mode: Literal["none", "selective", "full"], dtype: torch.dtype, rows: int) -> int:
    """Bytes that a block's forward leaves behind for its backward."""
    block = Block(config, 0).to(dtype)
    x = torch.zeros(rows, config.width, dtype=dtype, requires_grad=True) * 1
    turn = rotation(torch.zeros(rows, 3), config.head_dim, 1e4)
    if mode == "none":
        return _saved(block, x, turn)
    block.forward = recomputed(block.forward, mode)  # type: ignore[method-assign]
    gc.freeze()  # what is there is not looked at again
    y = block(x, turn, _attend)  # kept until it has been counted; it represents the input, which was there before
    kept = _new_bytes()
    gc.unfreeze()
    del y
    return kept


def _saved(block: Block, x: Tensor, turn: tuple[Tensor, Tensor]) -> int:
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = block(x, turn, _attend)
    for known in (*block.parameters(), *turn):
        saved.pop(known.untyped_storage().data_ptr(), None)
    del y
    return sum(saved.values())


def _attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = (part.transpose(0, 1)[None] for part in (q, k, v))
    return F.scaled_dot_product_attention(*heads)[0].transpose(0, 1)


def _new_bytes() -> int:
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())
