"""LPIPS: how different two frames look, from the features of VGG16 (Zhang et al. 2018, arXiv:1801.03924).

The network is written out here, so that torchvision is not needed; its weights are files of the user: torchvision's
vgg16 and LPIPS's linear heads (version 0.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor, nn

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.weights_file import check_weights, read_tensors

_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Numbers of VGG16's convolutions in torchvision's `features`, by resolution."""
_WIDTHS = (64, 128, 256, 512, 512)
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
"""LPIPS's constants: frames in [-1, 1] become what VGG16 was trained on."""
_DELTA = 1e-10


class Perceptual(nn.Module):
    """The LPIPS distance of each clip: the mean over frames. The network is fixed; gradients reach the clips only."""

    def __init__(self) -> None:
        super().__init__()
        ins = (3, *_WIDTHS[:-1])
        self.stages = nn.ModuleList(
            _stage(first, width, len(numbers), pool=index > 0)
            for index, (first, width, numbers) in enumerate(zip(ins, _WIDTHS, _STAGES, strict=True))
        )
        self.heads = nn.ParameterList(torch.rand(width) / width for width in _WIDTHS)
        self.requires_grad_(False)

    @staticmethod
    def from_files(files: Sequence[str | Path], field: str = "perceptual_weights") -> Perceptual:
        """The network with the weights of these files (.pth, .safetensors): vgg16 and heads `lin0.model.1.weight` to 4.

        InputError, which names `field`, for a file that cannot be read, and for a weight that is missing, unknown or of
        another shape. vgg16's classifier is not used.
        """
        found: dict[str, Tensor] = {}
        for file in files:
            found |= _read(Path(file), field)
        network = Perceptual()
        wanted = dict(network._names())
        shown = ", ".join(map(str, files))
        _check_names(wanted, found, shown, field)
        for name, value in wanted.items():
            if found[name].numel() != value.numel() or (value.dim() > 1 and found[name].shape != value.shape):
                problem = f"has {name} of shape {tuple(found[name].shape)}, not {tuple(value.shape)}"
                raise InputError(field, shown, problem, "give the weights of torchvision's vgg16 and of LPIPS 0.1")
            value.copy_(found[name].view_as(value))
        return network

    def forward(self, video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, " b"]:
        """Distances of clips with values in [-1, 1]."""
        x, y = self._prepared(video), self._prepared(decoded)
        total = torch.zeros((), device=x.device)
        for stage, head in zip(self.stages, self.heads, strict=True):
            x, y = stage(x), stage(y)
            squares = (_unit(x) - _unit(y)).square()  # float32 from here on, also under autocast
            total = total + (squares * head.float()[:, None, None]).sum(dim=1).mean(dim=(1, 2))
        return total.view(video.shape[0], -1).mean(dim=1)

    def _prepared(self, video: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, "n 3 h w"]:
        """Frames in the range of VGG16's training."""
        frames = rearrange(video.float(), "b c f h w -> (b f) c h w")
        shift, scale = (frames.new_tensor(values)[:, None, None] for values in (_SHIFT, _SCALE))
        return (frames - shift) / scale

    def _names(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight by its name in torchvision's and LPIPS's files."""
        for stage, numbers in zip(self.stages, _STAGES, strict=True):
            convolutions = [part for part in stage.children() if isinstance(part, nn.Conv2d)]
            for number, convolution in zip(numbers, convolutions, strict=True):
                assert convolution.bias is not None
                yield f"features.{number}.weight", convolution.weight
                yield f"features.{number}.bias", convolution.bias
        for index, head in enumerate(self.heads):
            yield f"lin{index}.model.1.weight", head


def _stage(ins: int, width: int, count: int, *, pool: bool) -> nn.Sequential:
    """Half the resolution, except at the first stage; then convolutions and ReLUs, whose last output is compared."""
    parts: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    for first, second in pairwise([ins, *[width] * count]):
        parts += [nn.Conv2d(first, second, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)


def _unit(features: Float[Tensor, "n c h w"]) -> Float32[Tensor, "n c h w"]:
    """Features of unit length at each pixel. `vector_norm` has a gradient where all are zero."""
    features = features.float()
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + _DELTA)


def _read(file: Path, field: str) -> dict[str, Tensor]:
    """The tensors of a file, without vgg16's classifier; code in it is never run."""
    remedy = "give the weights of torchvision's vgg16 and of LPIPS 0.1, as the networks' state_dict() alone"
    found = read_tensors(file, field, remedy)
    kept = {name: value for name, value in found.items() if not name.startswith("classifier.")}
    check_weights(kept, file, field, remedy)
    return kept


def _check_names(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], shown: str, field: str) -> None:
    if missing := [name for name in wanted if name not in found]:
        remedy = "give torchvision's vgg16 and LPIPS's heads, both: two files, or one"
        raise InputError(field, shown, f"lacks {missing[0]} and {len(missing) - 1} others", remedy)
    if unknown := [name for name in found if name not in wanted]:
        raise InputError(field, shown, f"has {unknown[0]}, which is not part of LPIPS", "give LPIPS's weights only")
