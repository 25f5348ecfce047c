"""Which rows of a pack each context rank computes."""

from __future__ import annotations

import pytest
import torch

from videoar.pretrain.parallel.mesh import Mesh
from videoar.pretrain.parallel.sequence import TokenCut

pytestmark = pytest.mark.slow


class Place(Mesh):
    """A rank of a context group without a real process."""

    def __init__(self, rank: int, size: int) -> None:
        object.__setattr__(self, "context", (rank, size))

    context_rank = property(lambda self: self.context[0])  # type: ignore[assignment]
    context_size = property(lambda self: self.context[1])  # type: ignore[assignment]


def cut(rank: int, size: int, *, gathers: bool) -> TokenCut:
    return TokenCut(Place(rank, size), sequence=False, gathers=gathers, attention="auto")


@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_row_is_computed_once(gathers: bool, size: int) -> None:
    """A row that nobody computes has no gradient; one computed twice has twice."""
    rows = torch.cat([cut(rank, size, gathers=gathers).mine(64) for rank in range(size)])
    assert torch.equal(rows.sort().values, torch.arange(64))
    first = cut(0, size, gathers=gathers)
    assert torch.equal(first._restore(first.order(64).float()[:, None], 64)[:, 0], torch.arange(64.0))


def test_mirrored_chunks_share_causal_work_evenly() -> None:
    """Under a causal mask contiguous chunks would give the last rank seven times the first one's pairs."""
    work = torch.arange(64.0)
    loads = [work[cut(rank, 4, gathers=True).mine(64)].sum() for rank in range(4)]
    assert max(loads) == min(loads)
