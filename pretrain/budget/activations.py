"""Bytes of activations that a process keeps for backward, and the bytes that attention needs in addition."""

from __future__ import annotations

import functools

from videoar.pretrain.budget.schedule import Event, most_in_flight, orders
from videoar.pretrain.config import ModelConfig, ParallelConfig, Precision
from videoar.pretrain.parallel.cuts import split_layers

_KEPT: dict[tuple[str, str], float] = {
    ("none", "bf16"): 72.5,
    ("none", "float32"): 104.5,
    ("selective", "bf16"): 30.0,
    ("selective", "float32"): 60.0,
    ("full", "bf16"): 2.0,
    ("full", "float32"): 4.0,
}
"""Counted bytes that a block keeps for backward per token and unit of width, by (recompute, precision). `selective`
keeps five products and the input, `full` only the input."""

_KEPT_COMPILED: dict[tuple[str, str], float] = _KEPT | {
    ("none", "bf16"): 44.0,
    ("none", "float32"): 88.0,
    ("selective", "bf16"): 32.0,
    ("selective", "float32"): 64.0,
}
"""The same with torch.compile, which recomputes cheap operations by itself; attention also keeps rotated queries and
keys."""

_ENDS: dict[str, tuple[float, float, float]] = {"bf16": (10.0, 4.0, 10.0), "float32": (12.0, 4.0, 8.0)}
"""Bytes outside the blocks for each token: per unit of width (head and its norm), per channel of a head (rotation), and
per bit (features, logits, loss)."""

MANY = 1 << 20
"""A number of packs per step that is larger than any pipeline has in flight."""


def activation_bytes(
    model: ModelConfig,
    parallel: ParallelConfig,
    tokens_per_pack: int,
    precision: Precision,
    *,
    stage: int = 0,
    packs: int = MANY,
) -> int:
    """Bytes that the blocks of a pipeline stage keep for the packs in flight, and those of the one block being
    recomputed.

    `packs` is the number of packs of one replica in a step.
    """
    unit = tokens_per_pack / (parallel.tensor * parallel.context) * model.width
    kept = _KEPT_COMPILED if parallel.compiles_whole else _KEPT
    blocks = layers_in_flight(model, parallel, stage, packs) * kept[parallel.recompute, precision]
    again = 0.0 if parallel.recompute == "none" else _KEPT["none", precision]
    return int(unit * (blocks + again))


def end_bytes(
    model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision, *, is_last: bool
) -> int:
    """Bytes kept outside the blocks: rotations on every stage; on the last stage also the head and the loss.

    The head has all rows of the tensor group, the loss all rows of the pack.
    """
    of_width, of_channel, of_bit = _ENDS[precision]
    rows = tokens_per_pack / parallel.context
    head = rows * of_width * model.width + tokens_per_pack * of_bit * model.latent_dim
    return int(rows * of_channel * model.head_dim + (head if is_last else 0.0))


def attention_bytes(
    model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision, *, packs: int = MANY
) -> int:
    """Bytes that one layer's attention needs temporarily; with `reference`, the bytes of its dense masks.

    The backward of `flash` adds up the gradients of q, k and v in float32; `flex` and its tables need less. With
    context method `gather` a process has the queries of its own rows and all keys and values. A GPU also needs copies
    of up to 65,536 keys and values, their gradients, and one of these in float32: 2 GB at width 2,560.
    """
    if parallel.attention == "reference":
        return mask_bytes(model, parallel, tokens_per_pack, precision, packs=packs)
    whole = 4 * tokens_per_pack * model.width // parallel.tensor
    part = whole // parallel.context
    return part + 2 * (whole if parallel.context_method == "gather" else part)


def mask_bytes(
    model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision, *, packs: int = MANY
) -> int:
    """Bytes of the masks of `reference` attention: a Boolean mask for each pack in flight, and its floating-point
    copies.

    In every layer, scaled_dot_product_attention converts the Boolean mask to the training precision and keeps that copy
    for backward; with recomputation only one layer's copy exists at a time.
    """
    rows = tokens_per_pack // (parallel.context if parallel.context_method == "gather" else 1)
    in_flight = -(
        -most_in_flight(_order(parallel, 0, packs), [1] * parallel.virtual_pipeline) // parallel.virtual_pipeline
    )
    copies = layers_in_flight(model, parallel, 0, packs) if parallel.recompute == "none" else 1
    return int(rows * tokens_per_pack * (in_flight + copies * (2 if precision == "bf16" else 4)))


def chunk_layers(model: ModelConfig, parallel: ParallelConfig) -> list[list[int]]:
    """Layers of each chunk of each pipeline stage."""
    return _chunk_layers(model, parallel.pipeline, parallel.virtual_pipeline)


@functools.lru_cache(maxsize=1024)
def _chunk_layers(model: ModelConfig, pipeline: int, chunks: int) -> list[list[int]]:
    sizes = [len(layers) for layers in split_layers(model, pipeline * chunks)]
    return [sizes[stage::pipeline] for stage in range(pipeline)]


def layers_in_flight(model: ModelConfig, parallel: ParallelConfig, stage: int, packs: int) -> int:
    """Largest number of (layer, pack) pairs whose activations a pipeline stage holds at the same time.

    The maximum is reached in the warm-up, so a few packs are enough to find it. With equal chunks, the first stage
    holds p packs, or p + (p - 1) / v packs with v chunks. (Korthikanti et al. 2022, arXiv:2205.05198, §4.2.3.)
    """
    return most_in_flight(_order(parallel, stage, packs), chunk_layers(model, parallel)[stage])


@functools.lru_cache(maxsize=4096)
def _order(parallel: ParallelConfig, stage: int, packs: int) -> list[Event]:
    """The order of passes on a stage, with at most the packs that its warm-up can hold."""
    return orders(parallel.pipeline, min(packs, 2 * parallel.pipeline), parallel.virtual_pipeline)[stage]
