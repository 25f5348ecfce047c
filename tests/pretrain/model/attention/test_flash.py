"""Flash attention equals attention under the dense mask, forward and backward, for any pack."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.operations import Operations
from videoar.pretrain.model.attention import choose, flash_cuda
from videoar.pretrain.model.attention.flash import Plan, attend_by, flash_attention
from videoar.pretrain.model.attention.flash_cuda import VarlenFlash, VarlenKernels, VarlenRows, divide
from videoar.pretrain.model.attention.layout import PackLayout, TextAttention, indices
from videoar.pretrain.model.attention.merge import Gradients, Merged
from videoar.pretrain.model.attention.plan import Piece, Runs, batches_of, calls_of, difference, intersection
from videoar.pretrain.model.layers import Attend

from .layouts import clip, inputs, random_layout, results

CPU = torch.device("cpu")


class SegmentLoop(VarlenKernels):
    """What variable-length kernels on a GPU compute, by a loop over segments."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, segments: VarlenRows) -> tuple[Tensor, Tensor]:
        parts = [_softmax(*cut, causal=segments.causal) for cut in _cuts(segments, (q,), (k, v))]
        return torch.cat([out for out, _ in parts]), torch.cat([lse for _, lse in parts])

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, segments: VarlenRows
    ) -> Gradients:
        """With P = exp(s - lse): dv = P^T dout, ds = P (dout v^T - rowsum(dout out)). (FlashAttention, §B.)"""
        sums: list[tuple[Tensor, ...]] = []
        for given, queries, result, log_sum, keys, values in _cuts(segments, (grad, q, merged.out, merged.lse), (k, v)):
            scale = q.shape[-1] ** -0.5
            scores = torch.einsum("qnc,knc->nqk", queries, keys) * scale
            if segments.causal:
                scores = scores.masked_fill(torch.ones_like(scores[0], dtype=torch.bool).triu(1), -torch.inf)
            share = (scores - log_sum.T[..., None]).exp()
            change = torch.einsum("qnc,knc->nqk", given, values) - (given * result).sum(-1).T[..., None]
            slope = share * change * scale
            sums.append(
                (
                    torch.einsum("nqk,knc->qnc", slope, keys),
                    torch.einsum("nqk,qnc->knc", slope, queries),
                    torch.einsum("nqk,qnc->knc", share, given),
                )
            )
        return Gradients(*(torch.cat(parts) for parts in zip(*sums, strict=True)))


def _cuts(segments: VarlenRows, by_row: tuple[Tensor, ...], by_key: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    rows = segments.offsets_q.diff().tolist()
    keys = segments.offsets_k.diff().tolist()
    assert min(*rows, *keys) > 0, "kernels return no finite log-sum-exp for a segment without keys"
    assert (max(rows), max(keys)) == (segments.longest_q, segments.longest_k)
    return list(zip(*(part.split(rows) for part in by_row), *(part.split(keys) for part in by_key), strict=True))


def _softmax(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    scores = torch.einsum("qnc,knc->nqk", q, k) * q.shape[-1] ** -0.5
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0], dtype=torch.bool).triu(1), -torch.inf)
    return torch.einsum("nqk,knc->qnc", scores.softmax(-1), v), scores.logsumexp(-1).T


def varlen(layout: PackLayout, queries: Runs) -> Attend:
    """The plan for a GPU, computed by the loop above."""
    return attend_by(_kept(Plan(VarlenFlash(calls_of(layout, queries), CPU, SegmentLoop()))))


_PLANS: list[Plan] = []


def _kept(plan: Plan) -> Plan:
    _PLANS.append(plan)  # as `choose` keeps it in the layout
    return plan


@pytest.fixture
def seed() -> int:
    """A new one in every run; a failure prints it."""
    return random.SystemRandom().randrange(2**32)


@pytest.mark.parametrize("text", ["full", "causal"])
@pytest.mark.parametrize("kind", ["cpu", "varlen"])
@pytest.mark.parametrize("part", ["all", "some"])
def test_output_and_gradients_are_those_under_the_mask(
    kind: str, text: TextAttention, part: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rectangles merged by log-sum-exp are one softmax; what padding holds changes nothing, even if it is NaN."""
    monkeypatch.setattr(flash_cuda, "MOST_KEYS", 150)
    for number in range(seed, seed + 8):
        layout = random_layout(number, text)
        cut = sorted(random.Random(number).sample(range(layout.length), 4))
        queries: Runs = (range(layout.length),) if part == "all" else (range(cut[2], cut[3]), range(cut[0], cut[1]))
        rows = torch.from_numpy(indices(queries))
        q, k, v = inputs(layout, rows=len(rows))
        upstream = torch.randn_like(q)
        expected = results(choose(layout, CPU, "reference", queries), q, k, v, upstream)
        padding = torch.from_numpy(layout.sample < 0)
        with torch.no_grad():
            for tensor, rows_of in ((q, padding[rows]), (k, padding), (v, padding)):
                tensor[rows_of] = torch.nan
        make = flash_attention if kind == "cpu" else lambda layout, _, queries: varlen(layout, queries)
        found = results(make(layout, CPU, queries), q, k, v, upstream)
        for name, one, other in zip(("out", "dq", "dk", "dv"), found, expected, strict=True):
            error = (one - other).abs().max()
            assert error < 1e-10, f"{name} of layout {number} differs by {error}"


@pytest.mark.parametrize("kind", ["cpu", "varlen"])
@pytest.mark.parametrize("text", ["full", "causal"])
def test_a_process_may_have_little_of_a_pack(kind: str, text: TextAttention) -> None:
    """Under `gather` a process has only padding of a pack that is not full, or only the start of a text."""
    packs = [(PackLayout((), 8, text), (range(8),))]
    layout = PackLayout(random_layout(3, text).segments, 600, text)
    packs += [(layout, (range(590, 600),)), (layout, (range(1),)), (layout, (range(1), range(595, 600))), (layout, ())]
    for pack, queries in packs:
        q, k, v = inputs(pack, rows=sum(map(len, queries)))
        upstream = torch.randn_like(q)
        attend = flash_attention(pack, CPU, queries) if kind == "cpu" else varlen(pack, queries)
        rows = torch.tensor([row for run in queries for row in run], dtype=torch.int64)
        whole = q.new_zeros(pack.length, *q.shape[1:]).index_copy(0, rows, q)
        expected = choose(pack, CPU, "reference")(0, whole, k, v)[rows]
        found = results(attend, q, k, v, upstream)
        right = [expected, *torch.autograd.grad(expected, (q, k, v), upstream)]
        for one, other in zip(found, right, strict=True):
            torch.testing.assert_close(one, other)


def test_any_strides_are_read() -> None:
    """The CPU's kernel ignores the stride of channels: heads that are channels last in memory gave numbers of 1e38."""
    layout = clip(3, 3, schedule="48x48")
    q, k, v = (torch.randn(8, 2, layout.length).permute(2, 1, 0) for _ in range(3))
    torch.testing.assert_close(choose(layout, CPU, "flash")(0, q, k, v), choose(layout, CPU, "reference")(0, q, k, v))


def test_a_broken_package_is_passed_over_with_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Images often have a flash_attn that was built for another PyTorch: the bundled kernels need no package."""
    (tmp_path / "flash_attn").mkdir()
    (tmp_path / "flash_attn" / "__init__.py").write_text("raise ImportError('undefined symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert flash_cuda.activate_kernels.__wrapped__() == "FA2"
    assert "flash_attn.cute is installed but does not work here" in caplog.text


@pytest.mark.parametrize("width", [64, 80, 128])
def test_float32_and_bf16_round_as_one_kernel_does(width: int, seed: int) -> None:
    """Merging in float32 adds no error that a single call of the same kernel would not have."""
    layout = random_layout(seed)
    exact = inputs(layout, width=width)
    upstream = torch.randn_like(exact[0])
    expected = results(choose(layout, CPU, "reference"), *exact, upstream)
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, None)):
        rounded = [part.detach().to(dtype).requires_grad_() for part in exact]
        found = results(choose(layout, CPU, "flash"), *rounded, upstream)
        dense = results(choose(layout, CPU, "reference"), *rounded, upstream)
        for one, usual, right in zip(found, dense, expected, strict=True):
            error = (one - right).abs().max().item()
            allowed = limit if limit is not None else 2 * (usual - right).abs().max().item() + 1e-3
            assert error < allowed, f"width {width}, {dtype}, layout {seed}: {error}, allowed {allowed}"


def test_nothing_grows_with_the_square_of_the_pack() -> None:
    """A dense mask of 45,056 tokens is 2 GB: no tensor may be larger than the queries of all heads in float32."""
    layout = clip(16, 2)
    q, k, v = inputs(layout, dtype=torch.float32)
    with Operations() as found:
        results(choose(layout, CPU, "flash"), q, k, v, torch.randn_like(q))
    assert found.largest <= q.numel() < layout.length**2 / 32


def test_masked_frames_are_not_computed() -> None:
    """The pieces of all calls are the attended pairs, no more: a masked frame costs nothing."""
    for number in range(20):
        layout = random_layout(number)
        pieces = [piece for call in calls_of(layout, (range(layout.length),)) for piece in call.pieces]
        assert sum(len(piece.rows) * piece.num_keys for piece in pieces) == layout.attended_pairs


def test_batches_hold_every_piece_once() -> None:
    """Frames of a clip, and images of one size, are computed in one call without copies."""
    layout = clip(15, 15)
    history, rest, own = (batches_of(call.pieces) for call in calls_of(layout, (range(layout.length),)))
    assert len(own) == layout.segments[0].schedule.num_scales
    assert all(batch.rows.count == 15 for batch in own)
    pieces = [piece for call in calls_of(layout, (range(layout.length),)) for piece in call.pieces]
    assert sum(batch.rows.count for batch in (*history, *rest, *own)) == len(pieces)


def test_small_frames_share_the_keys_that_all_of_them_see() -> None:
    """Kernels are slow on few rows: later frames of a clip are computed in threes, large frames and windows alone."""
    assert [len(piece.rows) for piece in _history(clip(16, 16))][-3:] == [3 * 130] * 3
    assert {len(piece.rows) for piece in _history(clip(5, 5, schedule="256x256"))} == {4, 521}
    assert {len(piece.rows) for piece in _history(clip(9, 2))[2:]} == {130}, "half of a window of 2 is shared"


def _history(layout: PackLayout) -> tuple[Piece, ...]:
    return calls_of(layout, (range(layout.length),))[0].pieces


def test_runs_as_sets() -> None:
    """A key that is in both parts would be attended to twice, one in neither not at all."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        one, other = (
            tuple(range(*pair) for pair in np.sort(draw.choice(30, 6, replace=False)).reshape(3, 2)) for _ in range(2)
        )
        keys, others = ({row for run in runs for row in run} for runs in (one, other))
        assert [row for run in intersection(one, other) for row in run] == sorted(keys & others)
        assert [row for run in difference(one, other) for row in run] == sorted(keys - others)


def test_long_calls_are_divided_between_pieces() -> None:
    """Gathered keys of many frames would not fit a device; a piece is never divided."""
    pieces = tuple(Piece(range(i, i + 1), (range(size),)) for i, size in enumerate((5, 3, 9, 1, 1)))
    groups = list(divide(pieces, 8))
    assert tuple(itertools.chain(*groups)) == pieces
    assert [sum(piece.num_keys for piece in group) for group in groups] == [8, 9, 2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("text", ["full", "causal"])
@pytest.mark.parametrize("width", [64, 80, 128])
@pytest.mark.parametrize("backend", ["flash", "flex"])
def test_a_gpu_rounds_as_its_own_flash_attention_does(backend: str, width: int, text: TextAttention, seed: int) -> None:
    """In bf16 the error against float64 is at most twice that of PyTorch's attention under the dense mask."""
    device = torch.device("cuda")
    layout = random_layout(seed, text)
    exact = inputs(layout, width=width, device=device)
    upstream = torch.randn_like(exact[0])
    expected = results(choose(layout, device, "reference"), *exact, upstream)
    rounded = [part.detach().bfloat16().requires_grad_() for part in exact]
    found = results(choose(layout, device, backend), *rounded, upstream)
    dense = results(choose(layout, device, "reference"), *rounded, upstream)
    for one, usual, right in zip(found, dense, expected, strict=True):
        allowed = 2 * (usual - right).abs().max().item() + 1e-3
        assert (one - right).abs().max().item() < allowed, f"layout {seed}"
