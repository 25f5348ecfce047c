"""The tokenizer's encoder and decoder on whole clips: pixels per second, and the floor of their convolutions.

The floor is the sum over the convolutions, each of which reads its input and weights and writes its output; norms and
activations are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.measure import alternate
from videoar.benchmarks.peak_memory import peak_growth
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.scales import PIXELS_PER_CELL, latent_frames


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerCase:
    """Clips of one size."""

    preset: str
    frames: int
    """Pixel frames."""
    height: int
    width: int
    batch: int = 1
    precision: str = "float32"

    @property
    def pixels(self) -> int:
        """Pixels of all frames of all clips."""
        return self.batch * self.frames * self.height * self.width

    def video(self, device: torch.device) -> Tensor:
        """Drawn clips."""
        return torch.rand(self.batch, 3, self.frames, self.height, self.width, device=device) * 2 - 1

    def latent(self, device: torch.device) -> Tensor:
        """Drawn latents of the same clips."""
        cells = (side // PIXELS_PER_CELL for side in (self.height, self.width))
        channels = preset_config(self.preset).latent_dim
        return torch.randn(self.batch, channels, latent_frames(self.frames), *cells, device=device)


CASES: Mapping[Size, Mapping[str, TokenizerCase]] = {
    "toy": {"tiny 5x32x32": TokenizerCase(preset="tiny", frames=5, height=32, width=32)},
    "cpu": {
        "tiny 17x128x128": TokenizerCase(preset="tiny", frames=17, height=128, width=128),
        "small 17x64x64": TokenizerCase(preset="small", frames=17, height=64, width=64),
    },
    "gpu": {
        f"paper {frames}x{height}x{width} {precision}": TokenizerCase(
            preset="paper", frames=frames, height=height, width=width, precision=precision
        )
        for frames, height, width in ((17, 128, 128), (33, 256, 256), (33, 384, 672))
        for precision in ("float32", "bf16")
    },
}


def rows(options: Options) -> Iterator[Row]:
    """Encoding and decoding of each case."""
    for name, case in options.chosen(CASES):
        for way in ("encode", "decode"):
            try:
                yield _row(name, case, way, options)
            except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
                yield {"case": name, "pass": way, "error": str(error).splitlines()[0]}


def _row(name: str, case: TokenizerCase, way: str, options: Options) -> Row:
    device = options.device
    with torch.device(device):
        tokenizer = VideoTokenizer(preset_config(case.preset)).eval()
    given = case.video(device) if way == "encode" else case.latent(device)
    call = partial(_under_autocast, case, device, getattr(tokenizer, way), given)
    costs = alternate({way: call}, options.repeats)[way]
    found = figures(costs, convolutions(case, way), peaks(device, dtype_of(case.precision)))
    return {
        "case": name,
        "pass": way,
        **{field: getattr(case, field) for field in ("preset", "frames", "height", "width", "batch", "precision")},
        **found,
        "pixels_per_s": case.pixels / found["wall_s"],
        "memory_bytes": peak_growth(call, device),
    }


def _under_autocast(case: TokenizerCase, device: torch.device, work: Callable[[Tensor], Tensor], given: Tensor) -> None:
    with torch.autocast(device.type, torch.bfloat16, enabled=case.precision == "bf16"):
        work(given)


def convolutions(case: TokenizerCase, way: str) -> list[Work]:
    """The work of every convolution, from shapes alone: 2 FLOPs for each weight that an output element multiplies."""
    itemsize, found = dtype_of(case.precision).itemsize, list[Work]()

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv3d)
        (taken, *_) = inputs
        flops = 2.0 * output.numel() * module.in_channels * prod(module.kernel_size)
        found.append(Work(flops, 1.0 * (taken.numel() + module.weight.numel() + output.numel()) * itemsize))

    with torch.device("meta"):
        tokenizer = VideoTokenizer(preset_config(case.preset))
        for module in tokenizer.modules():
            if isinstance(module, nn.Conv3d):
                module.register_forward_hook(count)
        meta = torch.device("meta")
        getattr(tokenizer, way)(case.video(meta) if way == "encode" else case.latent(meta))
    return found
