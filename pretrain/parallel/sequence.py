"""Which tokens of a pack a process computes: context parallelism around attention, sequence parallelism between layers.

The attention itself is the one of a single process (`pretrain.model.attention.choose`): `ulysses` exchanges tokens for
heads around it, `gather` brings every key and value to the queries of each process.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from megatron.core.tensor_parallel import gather_from_sequence_parallel_region, scatter_to_sequence_parallel_region
from megatron.core.tensor_parallel.mappings import all_to_all
from torch import Tensor

from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout, indices
from videoar.pretrain.model.layers import Attend
from videoar.pretrain.model.rope import Rotation
from videoar.pretrain.parallel.mesh import Mesh


@dataclass(frozen=True, slots=True)
class TokenCut:
    """How the rows of a pack are divided: over the context group, then (between layers) over the tensor group."""

    mesh: Mesh
    sequence: bool
    """True when rows are divided over the tensor group between layers."""
    gathers: bool
    """True for context method `gather`, False for `ulysses`."""
    attention: str
    """Backend of attention."""

    @staticmethod
    def of(config: ParallelConfig, mesh: Mesh, attention: str) -> TokenCut:
        gathers = config.context_method == "gather"
        return TokenCut(mesh, config.sequence and config.tensor > 1, gathers, attention)

    def order(self, length: int) -> Int64[Tensor, " l"]:
        """Rows of the pack, those of context rank 0 first, then those of rank 1, ..."""
        return _indices(tuple(itertools.chain.from_iterable(self._runs(length))), torch.device("cpu"))

    def _runs(self, length: int) -> list[tuple[range, ...]]:
        """The runs of rows whose queries each context rank computes.

        `gather` gives each process one chunk from the front and its mirror from the back: attention is (nearly) causal,
        and with contiguous chunks the last process would compute half as much again.
        """
        parts = self.mesh.context_size
        chunks = 2 * parts if self.gathers and parts > 1 else parts
        ends = [length * index // chunks for index in range(chunks + 1)]
        runs = [range(first, last) for first, last in itertools.pairwise(ends)]
        return [(runs[rank],) if chunks == parts else (runs[rank], runs[chunks - 1 - rank]) for rank in range(parts)]

    def mine(self, length: int, device: torch.device | str = "cpu") -> Int64[Tensor, " rows"]:
        """Rows whose queries this process's context rank computes."""
        return _indices(self._runs(length)[self.mesh.context_rank], torch.device(device))

    def scatter(self, x: Float[Tensor, "l d"]) -> Float[Tensor, "rows d"]:
        """From the whole pack, which every process computes, to the rows that this process holds between layers."""
        if self.mesh.context_size > 1:
            x = x.index_select(0, self.mine(x.shape[0], x.device))
        return scatter_to_sequence_parallel_region(x) if self.sequence else x

    def rotation(self, turn: Rotation | None) -> Rotation | None:
        """Angles of the rows whose queries this process computes."""
        if turn is None or self.mesh.context_size == 1:
            return turn
        rows = self.mine(turn[0].shape[0], turn[0].device)
        return turn[0].index_select(0, rows), turn[1].index_select(0, rows)

    def before_head(self, x: Float[Tensor, "rows d"]) -> Float[Tensor, "context_rows d"]:
        """All rows of the tensor group. The head is the same on each process, so gradients are cut, not summed."""
        return gather_from_sequence_parallel_region(x, tensor_parallel_output_grad=False) if self.sequence else x

    def whole(self, logits: Float[Tensor, "context_rows k"], length: int) -> Float[Tensor, "l k"]:
        """Logits of the whole pack, in its order, on every process of the context group; all compute one loss."""
        if self.mesh.context_size == 1:
            return logits
        together = gather_from_sequence_parallel_region(
            logits, tensor_parallel_output_grad=False, group=self.mesh.context
        )
        return self._restore(together, length)

    def attend(self, layout: PackLayout, device: torch.device) -> Attend:
        """Attention of the queries that this process holds over the whole pack."""
        if self.mesh.context_size == 1:
            return choose(layout, device, self.attention)
        if self.gathers:
            own = self._runs(layout.length)[self.mesh.context_rank]
            return self._gathered(choose(layout, device, self.attention, own), layout.length)
        return self._ulysses(choose(layout, device, self.attention))

    def _ulysses(self, attend: Attend) -> Attend:
        """During attention each process has all tokens and some of the heads. (DeepSpeed-Ulysses, arXiv:2309.14509.)"""
        group, parts = self.mesh.context, self.mesh.context_size

        def exchanged(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            packed = rearrange(torch.cat([q, k, v], dim=-1), "l (p n) c -> (p l) n c", p=parts)
            q, k, v = all_to_all(group, packed).chunk(3, dim=-1)
            out = all_to_all(group, attend(layer, q, k, v))
            return rearrange(out, "(p l) n c -> l (p n) c", p=parts)

        return exchanged

    def _gathered(self, attend: Attend, length: int) -> Attend:
        """The queries of this process against every key and value."""

        def exchanged(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            together = gather_from_sequence_parallel_region(torch.cat([k, v], dim=-1), group=self.mesh.context)
            k, v = self._restore(together, length).chunk(2, dim=-1)
            return attend(layer, q, k, v)

        return exchanged

    def _restore(self, x: Float[Tensor, "l ..."], length: int) -> Float[Tensor, "l ..."]:
        """From the order of context ranks back to the pack's."""
        if not self.gathers:
            return x
        runs = tuple(itertools.chain.from_iterable(self._runs(length)))
        return x.index_select(0, _indices(runs, x.device, inverse=True))


@functools.lru_cache(maxsize=64)
def _indices(runs: tuple[range, ...], device: torch.device, *, inverse: bool = False) -> Int64[Tensor, " rows"]:
    """The rows of these runs, or the places of all rows among them. The host waits for the copy to a GPU, once."""
    rows = torch.from_numpy(indices(runs))
    return (rows.argsort() if inverse else rows).to(device)
