"""Attention of one pack by every backend, compared with PyTorch's causal attention over the same number of pairs.

Causal attention reads no mask and gathers no rows: it is the best that a pattern of full rectangles can reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.measure import Call, alternate
from videoar.benchmarks.peak_memory import peak_growth
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.batch.frame_mask import frame_masks
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.backends import BACKENDS, check_backend
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.pretrain.model.attention.selfcheck import kernels_of
from videoar.tokenizer.scales import ScaleSchedule

CAUSAL = "torch causal"
LONGEST_COMPARED = 9000
"""Rows up to which outputs are compared with the reference in float32, whose mask grows with their square."""

TOLERANCE = {"float32": 1e-4, "bf16": 0.05}
"""Largest difference from the reference, over its largest value; the reference itself is at 0.02 in bf16."""

Passes = Literal["forward", "forward+backward"]
PASSES: tuple[Passes, ...] = get_args(Passes)
Parts = tuple[Tensor, ...]
"""Queries, keys, values, and the gradient of the output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionCase:
    """One sample in one pack."""

    schedule: str
    num_frames: int
    """Latent frames."""
    length: int
    """Rows of the pack; those after the last frame are padding."""
    num_heads: int
    head_dim: int
    num_text: int = 8
    window: int = 64
    p_mask: float = 0.0
    precision: str = "bf16"

    def layout(self) -> PackLayout:
        """Who attends to whom."""
        (visible,) = frame_masks([5], [self.num_frames], window=self.window, p_mask=self.p_mask, seed=0, step=0)
        segment = Segment(ScaleSchedule.named(self.schedule), self.num_frames, self.num_text, 0, visible)
        return PackLayout((segment,), self.length)

    def parts(self, device: torch.device, length: int | None = None) -> Parts:
        """Drawn tensors (l, n, c); a gradient is kept of the first three."""
        draws = torch.Generator(device).manual_seed(0)
        shape, dtype = (length or self.length, self.num_heads, self.head_dim), dtype_of(self.precision)
        parts = [torch.randn(shape, generator=draws, device=device, dtype=torch.float32).to(dtype) for _ in range(4)]
        return (*(part.requires_grad_() for part in parts[:3]), parts[3])

    def work(self, pairs: int, length: int, passes: Passes) -> Work:
        """4 c FLOPs a pair and head (score, value) and four tensors; backward twice as much of both."""
        width, factor = self.num_heads * self.head_dim, 1 if passes == "forward" else 3
        return Work(4.0 * factor * pairs * width, 4.0 * factor * length * width * dtype_of(self.precision).itemsize)


def _in_both(cases: Mapping[str, AttentionCase]) -> dict[str, AttentionCase]:
    """Each case in float32 and in bf16."""
    return {
        f"{name} {precision}": replace(case, precision=precision)
        for name, case in cases.items()
        for precision in ("float32", "bf16")
    }


_FILM = AttentionCase(
    schedule="384x672", num_frames=9, length=24_064, num_heads=20, head_dim=128, num_text=256, window=16
)
CASES: Mapping[Size, Mapping[str, AttentionCase]] = {
    "toy": _in_both(
        {
            "512 all": AttentionCase(schedule="64x64", num_frames=16, length=512, num_heads=2, head_dim=32),
            "512 masked": AttentionCase(
                schedule="64x64", num_frames=16, length=512, num_heads=2, head_dim=32, window=4, p_mask=0.3
            ),
        }
    ),
    "cpu": _in_both(
        {
            "2048 all": AttentionCase(schedule="128x128", num_frames=15, length=2048, num_heads=8, head_dim=64),
            "8192 window 4": AttentionCase(
                schedule="256x256", num_frames=15, length=8192, num_heads=8, head_dim=64, window=4
            ),
        }
    ),
    "gpu": {
        "2048 all": AttentionCase(schedule="128x128", num_frames=15, length=2048, num_heads=20, head_dim=128),
        "8192 window 4": AttentionCase(
            schedule="256x256", num_frames=15, length=8192, num_heads=20, head_dim=128, window=4
        ),
        **{
            f"23652 heads of {c}{mask}": replace(_FILM, num_heads=2560 // c, head_dim=c, p_mask=p_mask)
            for c in (128, 80, 64)
            for mask, p_mask in (("", 0.0), (" masked", 0.1))
        },
        "45056 heads of 128": replace(_FILM, num_frames=17, length=45_056),
    },
}
"""The numbers are lengths in tokens: 23,652 are a clip of 384x672 and 33 frames, 45,056 a pack of 65 frames."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that attends, with its inputs and what it computes."""

    attend: Callable[[Tensor, Tensor, Tensor], Tensor]
    parts: Parts
    pairs: int

    def forward(self) -> Tensor:
        """Without a graph, as evaluation runs it."""
        with torch.no_grad():
            return self.attend(*self.parts[:3])

    def both(self) -> tuple[Tensor, ...]:
        """The output, and the gradients of q, k and v."""
        out = self.attend(*self.parts[:3])
        return (out.detach(), *torch.autograd.grad(out, self.parts[:3], self.parts[3]))


def rows(options: Options) -> Iterator[Row]:
    """Forward, and forward with backward, of every backend in turn."""
    for name, case in options.chosen(CASES):
        yield from _rows(name, case, options)


def _rows(name: str, case: AttentionCase, options: Options) -> Iterator[Row]:
    layout, device = case.layout(), options.device
    parts = case.parts(device)
    subjects, errors = {CAUSAL: _causal(case, layout.attended_pairs, device)}, dict[str, Row]()
    exact = _exact(layout, parts)
    for backend in options.backends or BACKENDS:
        try:
            check_backend(backend, device, dtype_of(case.precision), case.head_dim)
            subject = Subject(partial(choose(layout, device, backend), 0), parts, layout.attended_pairs)
            errors[backend] = _errors(subject.both(), exact)
        except (InputError, NotImplementedError) as error:
            yield {"case": name, "subject": backend, "unavailable": str(error).splitlines()[0]}
        except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
            yield {"case": name, "subject": backend, "error": str(error).splitlines()[0]}
        else:
            subjects[backend] = subject
            if any(value > TOLERANCE[case.precision] for value in errors[backend].values()):
                yield {"case": name, "subject": backend, "error": "differs from the reference", **errors[backend]}
    calls = {(key, passes): _call(subject, passes) for key, subject in subjects.items() for passes in PASSES}
    costs = alternate(calls, options.repeats)
    for (key, passes), found in costs.items():
        work = case.work(subjects[key].pairs, len(subjects[key].parts[0]), passes)
        yield {
            **_shape(name, case, subjects[key], key, passes),
            **figures(found, [work], peaks(device, dtype_of(case.precision))),
            **_memory(calls[key, passes], subjects[key], passes, device),
            **errors.get(key, {}),
        }


def _shape(name: str, case: AttentionCase, subject: Subject, key: str, passes: Passes) -> Row:
    return {
        "case": name,
        "subject": key,
        "kernels": key if key == CAUSAL else kernels_of(key, subject.parts[0].device),
        "pass": passes,
        "length": len(subject.parts[0]),
        "attended_pairs": subject.pairs,
        **{field: getattr(case, field) for field in ("num_heads", "head_dim", "window", "p_mask", "precision")},
    }


def _memory(call: Call, subject: Subject, passes: Passes, device: torch.device) -> Row:
    """The peak memory, and the part of it that is neither output nor gradient."""
    found, tensor = peak_growth(call, device), subject.parts[0].numel() * subject.parts[0].element_size()
    return {"memory_bytes": found, "workspace_bytes": found - tensor * (1 if passes == "forward" else 4)}


def _call(subject: Subject, passes: Passes) -> Call:
    return subject.forward if passes == "forward" else subject.both


def _causal(case: AttentionCase, pairs: int, device: torch.device) -> Subject:
    """PyTorch's causal attention at the length with about `pairs` pairs; flash kernels if they support the type."""
    length = math.isqrt(2 * pairs)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION], set_priority=True):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)[0].transpose(0, 1)

    return Subject(attend, case.parts(device, length), length * (length + 1) // 2)


def _exact(layout: PackLayout, parts: Parts) -> tuple[Tensor, ...] | None:
    """Output and gradients of the reference in float32; None for a pack whose mask would not fit."""
    if layout.length > LONGEST_COMPARED:
        return None
    q, k, v, gradient = (part.detach().float().requires_grad_() for part in parts)
    attend = partial(choose(layout, gradient.device, "reference"), 0)
    return Subject(attend, (q, k, v, gradient), layout.attended_pairs).both()


def _errors(found: tuple[Tensor, ...], exact: tuple[Tensor, ...] | None) -> Row:
    """Largest difference of the output and of a gradient from the exact ones, over the largest exact value."""
    if exact is None:
        return {}
    output, *gradients = (
        float((one.float() - other).abs().max() / other.abs().max()) for one, other in zip(found, exact, strict=True)
    )
    return {"output_error": output, "gradient_error": max(gradients)}
