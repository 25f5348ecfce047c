"""Pipeline parallelism: which layers a stage holds, and a stage as Megatron-core's schedules see it."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from megatron.core.enums import ModelType
from megatron.core.transformer import TransformerConfig
from megatron.core.utils import make_viewless_tensor
from torch import Tensor, nn

from videoar.pretrain.config import ModelConfig
from videoar.pretrain.inputs import Pack
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.sequence import TokenCut


def split_layers(config: ModelConfig, parts: int) -> list[range]:
    """Contiguous layers for each of `parts` stages, in order, so that the dearest stage is as cheap as can be.

    The first stage also embeds and the last one also has the head and the loss; costs are in multiply-adds a token.
    """
    block = 16.0 * config.width**2
    costs = [block] * config.num_layers
    ends = 1.0 * config.width * config.latent_dim, 2.0 * config.width * config.latent_dim
    return _split(costs, ends, parts)


def _split(costs: Sequence[float], ends: tuple[float, float], parts: int) -> list[range]:
    """Bisect the bound on a part's cost; fill parts greedily from the front, never starving those behind."""
    low, high = max(costs), sum(costs) + sum(ends)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if len(_fill(costs, ends, parts, middle)) == parts else (middle, high)
    return _fill(costs, ends, parts, high)


def _fill(costs: Sequence[float], ends: tuple[float, float], parts: int, bound: float) -> list[range]:
    """Ranges whose cost stays within the bound; fewer than `parts` when they do not fit."""
    ranges, start = [], 0
    for part in range(parts):
        last = part == parts - 1
        used = (ends[0] if part == 0 else 0.0) + (ends[1] if last else 0.0)
        stop, limit = start, len(costs) - (parts - 1 - part)
        while stop < limit and (stop == start or used + costs[stop] <= bound):
            used, stop = used + costs[stop], stop + 1
        if used > bound * (1 + 1e-12):
            return []
        ranges.append(range(start, stop))
        start = stop
    return ranges if start == len(costs) else []


class Stage(nn.Module):
    """A contiguous part of the model: embedding (first), some blocks, head (last)."""

    model_type = ModelType.encoder_or_decoder

    def __init__(
        self, model: VideoAR, layers: range, *, is_first: bool, is_last: bool, config: TransformerConfig, cut: TokenCut,
        vp_stage: int | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config, self.vp_stage = config, vp_stage
        self.is_first, self.is_last = is_first, is_last
        self.model, self._layers, self._cut = carve(model, layers, is_first=is_first, is_last=is_last), layers, cut
        self._input: Tensor | None = None

    def set_input_tensor(self, tensors: list[Tensor | None]) -> None:
        """What the stage before sent: (rows, 1, d); None before the first stage."""
        self._input = tensors[0]

    def forward(self, pack: Pack) -> Float[Tensor, ...]:
        """Logits (l, k) of the whole pack from the last stage, the residual stream (rows, 1, d) from the others."""
        if self.is_first:
            x = self._cut.scatter(self.model.embed(pack.inputs))
        else:
            assert self._input is not None
            x = self._input.squeeze(1)
        turn = self._cut.rotation(self.model.rotation(pack.inputs))
        attend = self._cut.attend(pack.layout, x.device)
        for layer in self._layers:
            x = self.model.blocks[layer](x, turn, attend)
        if self.is_last:
            return self._cut.whole(self.model.head(self._cut.before_head(x)), pack.layout.length)
        return make_viewless_tensor(x.unsqueeze(1), requires_grad=True, keep_graph=True)


def carve(model: VideoAR, layers: range, *, is_first: bool, is_last: bool) -> VideoAR:
    """Remove, in place, what belongs to other stages; the names of what is left stay those of the whole model."""
    for layer in range(len(model.blocks)):
        if layer not in layers:
            model.blocks[layer] = nn.Identity()
    if not is_first:
        model.place = None
        del model.start
    for name in (*(() if is_first else ("input", "scale", "text")), *(() if is_last else ("head",))):
        setattr(model, name, nn.Identity())
    return model
