"""The `flex` backend: FlexAttention with a block mask that is built from the pack's rectangles.

It serves any type and head width on a GPU. On a CPU it has no backward and serves only tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.attention.layout import PackLayout, indices, moved
from videoar.pretrain.model.attention.plan import Piece, Runs, held
from videoar.pretrain.model.layers import Attend

TABLE = 1 << 12
"""Smallest number of entries of the visibility table: one size for nearly all packs, so that FlexAttention compiles
once."""
BLOCK = 128
"""Rows and keys of a block: the unit in which FlexAttention leaves out what is masked."""


def flex_attention_of(layout: PackLayout, device: torch.device, queries: Runs) -> Attend:
    """Attention of the query rows over a whole pack by FlexAttention, on a GPU compiled."""
    mask = block_mask(layout, device, queries)
    padding = layout.sample < 0
    idle, padding_keys = (moved(part[:, None, None], device) for part in (padding[indices(queries)], padding))
    attention = _compiled() if device.type == "cuda" else _uncompiled

    def attend(
        layer: int, q: Float[Tensor, "rows n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "rows n c"]:
        if device.type == "cpu" and torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
            raise no_backward()
        # Padding shares blocks with tokens, and 0 x NaN is NaN.
        q, k, v = q.masked_fill(idle, 0), k.masked_fill(padding_keys, 0), v.masked_fill(padding_keys, 0)
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        out: Tensor = attention(q, k, v, block_mask=mask)
        return out[0].transpose(0, 1).masked_fill(idle, 0)

    return attend


def no_backward() -> InputError:
    """Why FlexAttention does not train on a CPU."""
    return InputError("parallel.attention", "flex", "has no backward on a CPU", "use auto or flash there")


def _uncompiled(q: Tensor, k: Tensor, v: Tensor, block_mask: BlockMask) -> Tensor:
    out: Tensor = flex_attention(q, k, v, block_mask=block_mask)
    return out


@functools.cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(flex_attention, dynamic=False)


@dataclass(frozen=True, slots=True)
class RowTables:
    """Who attends to whom, from tables of one entry a row: what FlexAttention evaluates within a partial block."""

    visible_row: Int64[np.ndarray, " rows"]
    """Row of `visible`; -1 is its last one."""
    visible_column: Int64[np.ndarray, " l"]
    """Column of `visible`: which text or frame of its sample a key belongs to; -1 is the last one."""
    visible: Bool[np.ndarray, "h u"]
    """By (rows of a frame or text, text or frame). The last row and the last column are False, for padding."""
    sample: Int64[np.ndarray, " l"]
    row_sample: Int64[np.ndarray, " rows"]
    own: Int64[np.ndarray, "rows 2"]
    """Start and end of the keys of a row within its own frame (or its text, if text is causal)."""


def block_mask(layout: PackLayout, device: torch.device, queries: Runs) -> BlockMask:
    """The pattern by blocks of 128 rows and keys: full, partial or empty."""
    num_rows = sum(len(run) for run in queries)
    attended = _attended(_pieces(layout, queries), num_rows, layout.length)
    size = np.outer(_block_sizes(num_rows), _block_sizes(layout.length))
    full, partial = attended == size, (attended > 0) & (attended < size)
    return BlockMask.from_kv_blocks(
        *_listed(partial, device),
        *_listed(full, device),
        BLOCK_SIZE=BLOCK,
        mask_mod=_mask_of(row_tables(layout, queries), device),
        seq_lengths=(num_rows, layout.length),
    )


def _pieces(layout: PackLayout, queries: Runs) -> Iterator[Piece]:
    """The rectangles of these rows; a causal one row by row."""
    for rectangle in layout.rectangles():
        for rows, local in held(rectangle.rows, queries):
            if not rectangle.causal:
                yield Piece(local, rectangle.keys)
                continue
            for row, place in zip(rows, local, strict=True):
                yield Piece(range(place, place + 1), (range(rectangle.rows.start, row + 1),))


def _attended(pieces: Iterable[Piece], num_rows: int, num_keys: int) -> Int64[np.ndarray, "q_blocks k_blocks"]:
    """Attended pairs in each block: pieces are disjoint, so their overlaps add up."""
    counts = np.zeros((-(-num_rows // BLOCK), -(-num_keys // BLOCK)), np.int64)
    for piece in pieces:
        first, height = _overlap(piece.rows)
        for run in piece.keys:
            left, width = _overlap(run)
            counts[first : first + len(height), left : left + len(width)] += np.outer(height, width)
    return counts


def _overlap(run: range) -> tuple[int, Int64[np.ndarray, " blocks"]]:
    """The first block that a run touches, and how much of it is in each block."""
    first, last = run.start // BLOCK, (run.stop - 1) // BLOCK
    edges = np.clip(np.arange(first, last + 2) * BLOCK, run.start, run.stop)
    return first, np.diff(edges)


def _block_sizes(length: int) -> Int64[np.ndarray, " blocks"]:
    return _overlap(range(length))[1]


def _listed(blocks: Bool[np.ndarray, "q k"], device: torch.device) -> tuple[Tensor, Tensor]:
    """FlexAttention's form: how many blocks of keys each block of rows has, and their indices first in its list."""
    order = np.argsort(~blocks, axis=1, kind="stable")
    counts, indices = (moved(part.astype(np.int32), device) for part in (blocks.sum(axis=1), order))
    return counts[None, None], indices[None, None]


def row_tables(layout: PackLayout, queries: Runs) -> RowTables:
    """The rectangles of a pack as tables of one entry a row."""
    units: dict[int, dict[range, int]] = {}
    seen: list[list[int]] = []
    visible_row = np.full(layout.length, -1)
    visible_column = np.full(layout.length, -1)
    own = np.zeros((layout.length, 2), np.int64)
    for rectangle in layout.rectangles():
        rows = slice(rectangle.rows.start, rectangle.rows.stop)
        if rectangle.causal:
            own[rows, 0], own[rows, 1] = rectangle.rows.start, np.arange(rows.start, rows.stop) + 1
        elif rectangle.own:
            own[rows] = rectangle.keys[0].start, rectangle.keys[-1].stop
        else:
            known = units.setdefault(int(layout.sample[rows.start]), {})
            for run in rectangle.keys:
                visible_column[run.start : run.stop] = known.setdefault(run, len(known))
            visible_row[rows] = len(seen)
            seen.append([known[run] for run in rectangle.keys])
    visible = np.zeros((len(seen) + 1, max((len(known) for known in units.values()), default=0) + 1), bool)
    for row, columns in enumerate(seen):
        visible[row, columns] = True
    index = indices(queries)
    return RowTables(visible_row[index], visible_column, visible, layout.sample, layout.sample[index], own[index])


def _mask_of(tables: RowTables, device: torch.device) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    names = ("visible_row", "visible_column", "visible", "sample", "row_sample", "own")
    visible_row, visible_column, visible, sample, row_sample, own = (
        moved(getattr(tables, name), device) for name in names
    )

    columns = visible.shape[1]
    flat = torch.zeros(max(TABLE, 1 << (visible.numel() - 1).bit_length()), dtype=torch.bool, device=device)
    flat[: visible.numel()] = visible.flatten()
    first = visible_row % len(visible) * columns  # of padding, -1: the last row or column
    column = visible_column % columns
    # Lambdas: FlexAttention traces them, and cannot trace what checks types at run time.
    past = lambda row, key: (row_sample[row] == sample[key]) & flat[first[row] + column[key]]  # noqa: E731
    return lambda _, head, row, key: past(row, key) | ((own[row, 0] <= key) & (key < own[row, 1]))
