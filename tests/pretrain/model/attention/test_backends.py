"""The entry to attention: one plan for each pack, the queries that a process holds, and a name that exists."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.backends import backend_for, check_backend
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.attention.reference import masked_attention
from videoar.tokenizer.scales import ScaleSchedule


def layout() -> PackLayout:
    """A clip of three frames, and padding."""
    visible = np.tril(np.ones((3, 3), bool), -1)
    segment = Segment(ScaleSchedule.named("32x32"), 3, 2, 0, visible)
    return PackLayout((segment,), segment.visual.stop + 5)


def test_the_default_is_attention_under_the_mask() -> None:
    """Both engines, evaluation and diagnosis attend through this function: a wrong default is wrong everywhere."""
    pack = layout()
    q, k, v = torch.randn(3, pack.length, 2, 8)
    expected = masked_attention(pack.dense_mask())(0, q, k, v)
    assert torch.equal(choose(pack, "cpu", "reference")(0, q, k, v), expected)
    torch.testing.assert_close(choose(pack, "cpu")(0, q, k, v), expected)


def test_some_queries_attend_as_they_do_among_all() -> None:
    """Context parallelism computes a part of the rows on each process: together they must be the whole."""
    pack = layout()
    q, k, v = torch.randn(3, pack.length, 2, 8)
    whole = choose(pack, "cpu")(0, q, k, v)
    rows = (range(4, 9), range(1, 3), range(pack.length - 3, pack.length))
    index = torch.cat([torch.tensor(list(run)) for run in rows])
    torch.testing.assert_close(choose(pack, "cpu", queries=rows)(0, q[index], k, v), whole[index])


def test_a_pack_has_one_plan() -> None:
    """A plan or mask for each pipeline chunk would multiply its memory by the chunks."""
    pack = layout()
    assert choose(pack, "cpu") is choose(pack, torch.device("cpu"))
    assert choose(pack, "cpu", "flash") is choose(pack, "cpu", "flash")
    assert choose(pack, "cpu", queries=(range(3),)) is not choose(pack, "cpu")
    assert choose(layout(), "cpu") is not choose(pack, "cpu")


def test_an_unknown_backend_is_refused() -> None:
    """A backend that is silently replaced by another one gives wrong timings."""
    with pytest.raises(InputError, match=r"quick: is not a backend of this version; use one of: auto, reference"):
        choose(layout(), "cpu", "quick")


@pytest.mark.parametrize(
    ("device", "dtype", "width", "expected"),
    [
        ("cpu", torch.float32, 16, "flash"),
        ("cpu", torch.float64, 3, "flash"),
        ("cuda", torch.bfloat16, 80, "flash"),
        ("cuda", torch.float16, 256, "flash"),
        ("cuda", torch.bfloat16, 264, "flex"),
        ("cuda", torch.bfloat16, 20, "flex"),
        ("cuda", torch.float32, 64, "flex"),
    ],
)
def test_auto_is_flash_where_its_kernels_exist(device: str, dtype: torch.dtype, width: int, expected: str) -> None:
    """A GPU's flash kernels refuse other types and widths in the middle of a run."""
    assert backend_for(torch.device(device), dtype, width) == expected


@pytest.mark.parametrize(
    ("backend", "device", "dtype", "width", "problem"),
    [
        ("flex", "cpu", torch.float32, 64, "has no backward on a CPU"),
        ("flash", "cuda", torch.float32, 64, "takes bf16 and heads"),
        ("flash", "cuda", torch.bfloat16, 20, "takes bf16 and heads"),
    ],
)
def test_a_run_whose_backend_cannot_train_is_refused_before_it_starts(
    backend: str, device: str, dtype: torch.dtype, width: int, problem: str
) -> None:
    """The kernels' own errors come in the first step, name no setting, and look like a fault."""
    with pytest.raises(InputError, match=f"parallel.attention={backend}: {problem}"):
        check_backend(backend, torch.device(device), dtype, width)
    check_backend("auto", torch.device(device), dtype, width)
    check_backend("reference", torch.device(device), dtype, width)
