"""The tokenizer's encoder and decoder: pixels per second, and the floor of their convolutions; and its quantiser.

Clips go through whole, in PyTorch's other memory format, compiled, and as streams of 1, 2 and 4 latents per call: all
compared with a plain loop over the same convolutions. The quantiser is compared with a loop over frames.
The floor is the sum over the convolutions, each of which reads its input and weights and writes its output; norms and
activations are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.measure import Call, Cost, alternate, median_ratios, medians
from videoar.benchmarks.peak_memory import peak_growth
from videoar.tokenizer import VideoTokenizer, conv_work
from videoar.tokenizer.causal_conv import CausalConv3d
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.residual import quantize_residual
from videoar.tokenizer.scales import PIXELS_PER_CELL, ScaleSchedule, latent_frames

SUBJECTS = ("whole", "channels first", "channels last", "stream 1", "stream 2", "stream 4")
"""Ways to encode and decode: the whole clip, in a memory format that is not chosen for the device, as a stream of N
latents per call."""
_FORMATS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last_3d}


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
    subjects: tuple[str, ...] = SUBJECTS
    """Ways to encode and decode them; `compiled` takes minutes."""

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
        "tiny 17x64x64 compiled": TokenizerCase(
            preset="tiny", frames=17, height=64, width=64, subjects=("whole", "compiled")
        ),
    },
    "gpu": {
        "paper 17x128x128 float32": TokenizerCase(preset="paper", frames=17, height=128, width=128),
        **{
            f"{preset} {frames}x{height}x{width} bf16": TokenizerCase(
                preset=preset, frames=frames, height=height, width=width, precision="bf16", subjects=subjects
            )
            for preset in ("paper", "paper-light")
            for frames, height, width, subjects in ((17, 128, 128, SUBJECTS), (33, 384, 672, ("whole", "stream 1")))
        },
    },
}


def rows(options: Options) -> Iterator[Row]:
    """Encoding and decoding of each case in every way, then quantising."""
    for name, case in options.chosen(CASES):
        for way in ("encode", "decode"):
            try:
                yield from _rows(name, case, way, options)
            except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
                yield {"case": name, "pass": way, "error": str(error).splitlines()[0]}
        yield {"case": name, "pass": "quantize", **_quantizer(case, options)}


def _rows(name: str, case: TokenizerCase, way: str, options: Options) -> Iterator[Row]:
    device = options.device
    with torch.device(device):
        tokenizer = VideoTokenizer(preset_config(case.preset)).eval()
    given = case.video(device) if way == "encode" else case.latent(device)
    plain = partial(_convolve_all, _recorded(tokenizer, getattr(tokenizer, way), given))
    calls: dict[str, Call] = {"plain": plain, **{name: _subject(name, tokenizer, way, given) for name in case.subjects}}
    costs = alternate({subject: partial(_run, case, device, call) for subject, call in calls.items()}, options.repeats)
    for subject in case.subjects:
        found = figures(costs[subject], convolutions(case, way), peaks(device, dtype_of(case.precision)))
        yield {
            "case": name,
            "subject": subject,
            "pass": way,
            **{field: getattr(case, field) for field in ("preset", "frames", "height", "width", "batch", "precision")},
            **found,
            **_over_plain(costs[subject], costs["plain"]),
            "pixels_per_s": case.pixels / found["wall_s"],
            "memory_bytes": peak_growth(partial(_run, case, device, calls[subject]), device),
        }


def _subject(subject: str, tokenizer: VideoTokenizer, way: str, given: Tensor) -> Call:
    """One of the ways to encode or decode a clip."""
    whole = getattr(tokenizer, way)
    if subject in _FORMATS:
        network = tokenizer.encoder if way == "encode" else tokenizer.decoder
        return partial(network, given.contiguous(memory_format=_FORMATS[subject]))
    if subject == "compiled":
        return partial(torch.compile(whole), given)
    if subject == "whole":
        return partial(whole, given)
    return partial(_drain, getattr(tokenizer, f"{way}_stream"), given, int(subject.removeprefix("stream ")))


def _drain(stream: Callable[..., Iterator[Tensor]], given: Tensor, latents_per_call: int) -> None:
    for _ in stream([given], latents_per_call):
        pass


def _run(case: TokenizerCase, device: torch.device, call: Call) -> None:
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=case.precision == "bf16"):
        call()


def _recorded(
    tokenizer: VideoTokenizer, call: Callable[[Tensor], Tensor], given: Tensor
) -> list[tuple[CausalConv3d, Tensor]]:
    """Every convolution of a call, with its input in PyTorch's own memory format."""
    found = list[tuple[CausalConv3d, Tensor]]()
    layers = [module for module in tokenizer.modules() if isinstance(module, CausalConv3d)]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: found.append((layer, inputs[0].contiguous())))
        for layer in layers
    ]
    call(given)
    for hook in hooks:
        hook.remove()
    return found


def _convolve_all(recorded: Sequence[tuple[CausalConv3d, Tensor]]) -> None:
    """The plain loop: pad time, and call PyTorch's convolution."""
    for layer, x in recorded:
        assert not isinstance(layer.padding, str)
        padded = F.pad(x, (0, 0, 0, 0, layer.kernel_size[0] - 1, 0))
        F.conv3d(padded, layer.weight, layer.bias, layer.stride, layer.padding)


def _quantizer(case: TokenizerCase, options: Options) -> Row:
    """All frames of some clips at once, compared with one after the other."""
    schedule = ScaleSchedule.named(f"{case.height}x{case.width}")
    frames = replace(case, batch=8).latent(options.device).transpose(1, 2).flatten(0, 1)
    calls = {
        "all": lambda: quantize_residual(frames, schedule),
        "loop": lambda: [quantize_residual(frame, schedule) for frame in frames.split(1)],
    }
    costs = alternate(calls, options.repeats)
    middle = medians(costs["all"])
    times = {name: middle[name] for name in ("wall_s", "process_s")}
    return {**times, "frames": len(frames), **_over_plain(costs["all"], costs["loop"])}


def _over_plain(costs: Sequence[Cost], plain: Sequence[Cost]) -> Row:
    ratios = median_ratios(costs, plain)
    return {"over_plain": ratios["wall_s"], "process_over_plain": ratios["process_s"]}


def convolutions(case: TokenizerCase, way: str) -> list[Work]:
    """The work of every convolution, from shapes alone."""
    itemsize, meta = dtype_of(case.precision).itemsize, torch.device("meta")
    with meta:
        tokenizer = VideoTokenizer(preset_config(case.preset))
        given = case.video(meta) if way == "encode" else case.latent(meta)
        counted = conv_work.convolutions(tokenizer, lambda: getattr(tokenizer, way)(given))
    return [Work(work.flops, 1.0 * work.elements * itemsize) for work in counted]
