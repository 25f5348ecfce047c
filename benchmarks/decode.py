"""Cached decoding of a clip with guidance: passes over frames and scales, without the tokenizer's decoder.

Some cases also decode without a cache, alternately: `over_naive` is how much of that time the cache takes. On a GPU
passes are also repeated as CUDA graphs, alternately: `graphs_over_eager` is how much of the time that takes.

The floor is the sum over the passes, each of which reads all weights, and the keys and values that its tokens see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.material import NUM_TEXT, model_of
from videoar.benchmarks.measure import Call, alternate, medians
from videoar.benchmarks.naive_decode import naive_bits
from videoar.benchmarks.peak_memory import peak_growth
from videoar.configs.sizes import SIZES
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.generate.recorded import Recordings
from videoar.pretrain.generate.sampler import OpenPasses, Sampling, enqueued, sample_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import ScaleSchedule

BRANCHES = 2
"""Of guidance: with the text and without."""
SAMPLING = Sampling(guidance=Guidance.constant(3.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeCase:
    """Clips of one size that are sampled together."""

    model: ModelConfig
    schedule: str
    frames: int
    """Latent frames."""
    batch: int = 1
    window: int = 16
    precision: str = "bf16"
    with_naive: bool = False
    """Whether decoding without a cache is measured, too."""

    @property
    def passes(self) -> int:
        """Passes over a scale; one more reads the text."""
        return self.frames * ScaleSchedule.named(self.schedule).num_scales

    def work(self) -> list[Work]:
        """The work of each pass."""
        schedule = ScaleSchedule.named(self.schedule)
        text = self._pass(NUM_TEXT, NUM_TEXT)
        return [text] + [
            self._pass(tokens, NUM_TEXT + min(frame, self.window) * schedule.tokens_per_frame + end)
            for frame in range(self.frames)
            for tokens, end in zip(schedule.tokens, schedule.offsets[1:], strict=True)
        ]

    def _pass(self, tokens: int, keys: int) -> Work:
        """2 FLOPs a weight and token, 4 d a pair and layer; weights once, keys and values once a sequence."""
        sequences, layers, width = BRANCHES * self.batch, self.model.num_layers, self.model.width
        weights = layers * 16 * width**2 + 2 * width * self.model.latent_dim
        flops = sequences * (2.0 * weights * tokens + 4.0 * layers * width * tokens * keys)
        return Work(flops, (weights + sequences * 2.0 * layers * width * keys) * dtype_of(self.precision).itemsize)


def _batches(name: str, case: DecodeCase) -> dict[str, DecodeCase]:
    """A case at batch 1, compared with decoding without a cache, and at batch 8."""
    return {f"{name} batch {batch}": replace(case, batch=batch, with_naive=batch == 1) for batch in (1, 8)}


CASES: Mapping[Size, Mapping[str, DecodeCase]] = {
    "toy": _batches("64x64", DecodeCase(model=model_of(2, 64, 2), schedule="64x64", frames=2, precision="float32")),
    "cpu": _batches(
        "17x128x128 width 256", DecodeCase(model=model_of(4, 256, 4), schedule="128x128", frames=5, precision="float32")
    ),
    "gpu": {
        **_batches("l 17x128x128", DecodeCase(model=SIZES["l"], schedule="128x128", frames=5)),
        "4b-hd128 33x384x672 batch 1": DecodeCase(model=SIZES["4b-hd128"], schedule="384x672", frames=9),
        **_batches("xl 17x128x128", DecodeCase(model=SIZES["xl"], schedule="128x128", frames=5)),
        **_batches("4b-hd128 33x256x256", DecodeCase(model=SIZES["4b-hd128"], schedule="256x256", frames=9)),
    },
}


def rows(options: Options) -> Iterator[Row]:
    """A row for each case: seconds of a batch of clips, and of a pass."""
    for name, case in options.chosen(CASES):
        try:
            yield _row(name, case, options)
        except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
            yield {"case": name, "error": str(error).splitlines()[0]}


def _row(name: str, case: DecodeCase, options: Options) -> Row:
    model = _model(case, options.device)
    call = partial(_decode, case, model)
    others: dict[str, Call] = {"naive": partial(_decode_naively, case, model)} if case.with_naive else {}
    if (recordings := _recordings(options.device)) is not None:
        others["graphs"] = partial(_decode, case, model, open_passes=recordings.open)
    costs = alternate({"decode": call, **others}, options.repeats)
    found = figures(costs["decode"], case.work(), peaks(options.device, dtype_of(case.precision)))
    if "naive" in others:
        naive_s = medians(costs["naive"])["wall_s"]
        found |= {"naive_s": naive_s, "over_naive": found["wall_s"] / naive_s}
    if "graphs" in others:
        graphs_s = medians(costs["graphs"])["wall_s"]
        found |= {"graphs_s": graphs_s, "graphs_over_eager": graphs_s / found["wall_s"]}
    names = ("num_layers", "width", "num_heads", "head_dim")
    return {
        "case": name,
        **{field: getattr(case.model, field) for field in names},
        **{field: getattr(case, field) for field in ("schedule", "frames", "batch", "window", "precision", "passes")},
        "branches": BRANCHES,
        **found,
        "pass_s": found["wall_s"] / case.passes,
        "clips_per_s": case.batch / found["wall_s"],
        "memory_bytes": peak_growth(call, options.device),
    }


def _model(case: DecodeCase, device: torch.device) -> VideoAR:
    """A model with torch's own initial weights, made on the device: the time does not depend on them."""
    with torch.device(device):
        return VideoAR(case.model).to(dtype_of(case.precision)).eval()


def _recordings(device: torch.device) -> Recordings | None:
    """What records passes; the round that does not count does."""
    return Recordings.on(device) if device.type == "cuda" else None


def _decode(case: DecodeCase, model: VideoAR, open_passes: OpenPasses = enqueued) -> None:
    """Sample a batch of clips."""
    schedule, text = ScaleSchedule.named(case.schedule), list(_text(case))
    for _ in sample_frames(model, schedule, text, SAMPLING, **_settings(case), open_passes=open_passes):
        pass


def _decode_naively(case: DecodeCase, model: VideoAR) -> None:
    """The same without a cache."""
    naive_bits(model, ScaleSchedule.named(case.schedule), _text(case), SAMPLING, **_settings(case))


def _text(case: DecodeCase) -> Int64[np.ndarray, "b m"]:
    return np.arange(1, NUM_TEXT + 1)[None].repeat(case.batch, axis=0)


def _settings(case: DecodeCase) -> dict[str, Any]:
    return {"num_frames": case.frames, "window": case.window, "seeds": range(case.batch)}
