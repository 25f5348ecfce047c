"""Which tokens of a pack a process computes: context parallelism around attention, sequence parallelism between layers.

Attention itself is the plain one under the plain mask: `ulysses` trades tokens for heads around it, `gather` brings
every key and value to each process's own queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from megatron.core.tensor_parallel import gather_from_sequence_parallel_region, scatter_to_sequence_parallel_region
from megatron.core.tensor_parallel.mappings import all_to_all
from torch import Tensor

from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.attention.reference import reference_attention
from videoar.pretrain.model.layers import Attend
from videoar.pretrain.model.rope import Rotation
from videoar.pretrain.parallel.mesh import Mesh


@dataclass(frozen=True, slots=True)
class TokenCut:
    """How the rows of a pack are dealt: first over the context group, then (between layers) over the tensor group."""

    mesh: Mesh
    sequence: bool
    """Cut over the tensor group between layers."""
    gathers: bool
    """Context method `gather`; else `ulysses`."""

    @staticmethod
    def of(config: ParallelConfig, mesh: Mesh) -> TokenCut:
        return TokenCut(mesh, config.sequence and config.tensor > 1, config.context_method == "gather")

    def order(self, length: int) -> Int64[Tensor, " l"]:
        """Rows of the pack, those of context rank 0 first, then those of rank 1, ...

        `gather` deals each process one chunk from the front and its mirror from the back: attention is (nearly) causal,
        and contiguous chunks would load the last process with half as much again.
        """
        parts = self.mesh.context_size
        rows = torch.arange(length)
        if not self.gathers or parts == 1:
            return rows
        chunks = rows.chunk(2 * parts)
        return torch.cat([torch.cat([chunks[rank], chunks[2 * parts - 1 - rank]]) for rank in range(parts)])

    def mine(self, length: int) -> Int64[Tensor, " rows"]:
        """Rows whose queries this process's context rank computes."""
        return self.order(length).chunk(self.mesh.context_size)[self.mesh.context_rank]

    def scatter(self, x: Float[Tensor, "l d"]) -> Float[Tensor, "rows d"]:
        """From the whole pack, computed alike on every process, to the rows that stand between this one's layers."""
        if self.mesh.context_size > 1:
            x = x.index_select(0, self.mine(x.shape[0]).to(x.device))
        return scatter_to_sequence_parallel_region(x) if self.sequence else x

    def rotation(self, turn: Rotation | None) -> Rotation | None:
        """Angles of the rows that attention sees here."""
        if turn is None or self.mesh.context_size == 1:
            return turn
        rows = self.mine(turn[0].shape[0]).to(turn[0].device)
        return turn[0].index_select(0, rows), turn[1].index_select(0, rows)

    def before_head(self, x: Float[Tensor, "rows d"]) -> Float[Tensor, "context_rows d"]:
        """The tensor group's rows together; the head computes alike on each, so gradients are cut and not summed."""
        return gather_from_sequence_parallel_region(x, tensor_parallel_output_grad=False) if self.sequence else x

    def whole(self, logits: Float[Tensor, "context_rows k"], length: int) -> Float[Tensor, "l k"]:
        """Logits of the whole pack, in its order, on every process of the context group; the loss is alike on each."""
        if self.mesh.context_size == 1:
            return logits
        together = gather_from_sequence_parallel_region(
            logits, tensor_parallel_output_grad=False, group=self.mesh.context
        )
        return self._restore(together, length)

    def attend(self, layout: PackLayout, device: torch.device) -> Attend:
        """Attention over the pack from this process's queries."""
        mask = layout.dense_mask()
        if self.mesh.context_size == 1:
            return reference_attention(mask.to(device))
        if self.gathers:
            return self._gathered(reference_attention(mask[self.mine(layout.length)].to(device)), layout.length)
        return self._ulysses(reference_attention(mask.to(device)))

    def _ulysses(self, attend: Attend) -> Attend:
        """All tokens for a part of the heads during attention. (DeepSpeed-Ulysses, arXiv:2309.14509.)"""
        group, parts = self.mesh.context, self.mesh.context_size

        def exchanged(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            packed = rearrange(torch.cat([q, k, v], dim=-1), "l (p n) c -> (p l) n c", p=parts)
            q, k, v = all_to_all(group, packed).chunk(3, dim=-1)
            out = all_to_all(group, attend(layer, q, k, v))
            return rearrange(out, "(p l) n c -> l (p n) c", p=parts)

        return exchanged

    def _gathered(self, attend: Attend, length: int) -> Attend:
        """Every key and value, against this process's own queries."""

        def exchanged(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            together = gather_from_sequence_parallel_region(torch.cat([k, v], dim=-1), group=self.mesh.context)
            k, v = self._restore(together, length).chunk(2, dim=-1)
            return attend(layer, q, k, v)

        return exchanged

    def _restore(self, x: Float[Tensor, "l ..."], length: int) -> Float[Tensor, "l ..."]:
        """From the order of context ranks back to the pack's."""
        return x.index_select(0, self.order(length).argsort().to(x.device)) if self.gathers else x
