"""Pipeline parallelism: a stage of the model, in the form that Megatron-core's schedules call."""

from __future__ import annotations

from jaxtyping import Float
from megatron.core.enums import ModelType
from megatron.core.transformer import TransformerConfig
from megatron.core.utils import make_viewless_tensor
from torch import Tensor, nn

from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.sequence import TokenCut


class Stage(nn.Module):
    """A contiguous part of the model: embedding (first), some blocks, head (last)."""

    model_type = ModelType.encoder_or_decoder

    def __init__(
        self,
        model: VideoAR,
        layers: range,
        *,
        is_first: bool,
        is_last: bool,
        config: TransformerConfig,
        cut: TokenCut,
        vp_stage: int | None,
    ) -> None:
        super().__init__()
        self.config, self.vp_stage = config, vp_stage
        self.is_first, self.is_last = is_first, is_last
        self.model, self._layers, self._cut = carve(model, layers, is_first=is_first, is_last=is_last), layers, cut
        self._input: Tensor | None = None

    def set_input_tensor(self, tensors: list[Tensor | None]) -> None:
        """Take what the previous stage sent, (rows, 1, d); None for the first stage."""
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
    """Remove in place what belongs to other stages; the remaining parameters keep their names."""
    for layer in range(len(model.blocks)):
        if layer not in layers:
            model.blocks[layer] = nn.Identity()
    if not is_first:
        model.place = model.context = None
        del model.start
    for name in (*(() if is_first else ("input", "scale", "text")), *(() if is_last else ("head",))):
        setattr(model, name, nn.Identity())
    return model
