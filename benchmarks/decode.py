"""Cached decoding of a clip with guidance: passes over frames and scales, without the tokenizer's decoder.

The passes through the model alone run alternately with it: `overhead` is the share of the time outside these passes, in
which bits are sampled, looked up, summed and made the next input (goal: at most 0.05). Some cases also decode without a
cache, and with one that grows in every pass: `over_naive` and `over_growing` are the static cache's time divided by
theirs. On a GPU passes are also repeated as CUDA graphs: `graphs_over_eager` is their time divided by the eager time.
Some cases have a tokenizer, which decodes during the passes or after them: `hidden` is the time saved by decoding
during the passes, divided by the shorter of passes and decoding. Throughput is measured at batch 1, 2, 4, ... until the
clips per second grow by less than a tenth.

The floor is the sum over the passes, each of which reads all weights, and the keys and values that its tokens see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.decode_parts import decode_after, decode_beside, run_model_alone
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.growing_cache import growing
from videoar.benchmarks.material import NUM_TEXT, model_of
from videoar.benchmarks.measure import Call, Cost, alternate, median_ratios, medians
from videoar.benchmarks.naive_decode import naive_bits
from videoar.benchmarks.peak_memory import peak_growth
from videoar.configs.sizes import SIZES
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.generate.recorded import Recordings
from videoar.pretrain.generate.sampler import LatentFrame, OpenPasses, Sampling, VideoPlan, enqueued, sample_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.scales import ScaleSchedule

BRANCHES = 2
"""Branches of guidance: with the text and without."""
LEAST_GROWTH = 1.1
"""Throughput is measured at twice the batch as long as the clips per second grew by this factor."""
LARGEST_BATCH = 64
DecodesFrames = Callable[[VideoTokenizer, Iterable[LatentFrame]], None]
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
    """Whether decoding without a cache, and with one that grows, is measured, too."""
    tokenizer: str = ""
    """Preset of a tokenizer that decodes the latent frames, next to the passes and after them."""
    is_swept: bool = False
    """Whether larger batches are measured as long as they give more clips per second."""

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
    """A case at batch 1, compared with decoding without a cache and with one that grows, and at batch 8."""
    return {f"{name} batch {batch}": replace(case, batch=batch, with_naive=batch == 1) for batch in (1, 8)}


def _whole(name: str, case: DecodeCase, tokenizer: str) -> dict[str, DecodeCase]:
    """A case with a tokenizer, and its throughput."""
    return {
        f"{name} {tokenizer}": replace(case, tokenizer=tokenizer),
        f"{name} throughput": replace(case, is_swept=True),
    }


_TOY = DecodeCase(model=model_of(2, 64, 2), schedule="64x64", frames=2, precision="float32")
_CPU = DecodeCase(model=model_of(4, 256, 4), schedule="128x128", frames=5, precision="float32")

CASES: Mapping[Size, Mapping[str, DecodeCase]] = {
    "toy": {**_batches("64x64", _TOY), **_whole("64x64", _TOY, "tiny")},
    "cpu": {
        **_batches("17x128x128 width 256", _CPU),
        **_whole("17x64x64 width 256", replace(_CPU, schedule="64x64"), "small"),
    },
    "gpu": {
        **_batches("l 17x128x128", DecodeCase(model=SIZES["l"], schedule="128x128", frames=5)),
        "4b-hd128 33x384x672 batch 1": DecodeCase(model=SIZES["4b-hd128"], schedule="384x672", frames=9),
        **_batches("xl 17x128x128", DecodeCase(model=SIZES["xl"], schedule="128x128", frames=5)),
        **_batches("4b-hd128 33x256x256", DecodeCase(model=SIZES["4b-hd128"], schedule="256x256", frames=9)),
        **_whole("l 17x128x128", DecodeCase(model=SIZES["l"], schedule="128x128", frames=5), "paper-light"),
    },
}


def rows(options: Options) -> Iterator[Row]:
    """A row for each case: seconds of a batch of clips, and of a pass. Of a throughput, one for each batch."""
    for name, case in options.chosen(CASES):
        try:
            yield from _swept(name, case, options) if case.is_swept else [_row(name, case, options)]
        except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
            yield {"case": name, "error": str(error).splitlines()[0]}


def _swept(name: str, case: DecodeCase, options: Options) -> Iterator[Row]:
    """Rows of growing batches, up to the first that gives hardly more clips per second."""
    model, before = _model(case, options.device), 0.0
    while case.batch <= LARGEST_BATCH:
        call = partial(_decode, case, model)
        row = _figures(name, case, call, alternate({"decode": call}, options.repeats)["decode"], options)
        yield {**row, "subject": f"batch {case.batch}", "swept": "batch"}
        if row["clips_per_s"] < LEAST_GROWTH * before:
            return
        case, before = replace(case, batch=2 * case.batch), row["clips_per_s"]


def _row(name: str, case: DecodeCase, options: Options) -> Row:
    model = _model(case, options.device)
    call = partial(_decode, case, model)
    others: dict[str, Call] = {"model": partial(_run_model, case, model)}
    if case.with_naive:
        others["naive"] = partial(_decode_naively, case, model)
        others["growing"] = partial(_decode, case, model, growing)
    if (recordings := _recordings(options.device)) is not None:
        others["graphs"] = partial(_decode, case, model, open_passes=recordings.open)
    if case.tokenizer:
        tokenizer = _tokenizer(case, options.device)
        others["beside"] = partial(_with_tokenizer, case, model, tokenizer, decode_beside)
        others["after"] = partial(_with_tokenizer, case, model, tokenizer, decode_after)
    costs = alternate({"decode": call, **others}, options.repeats)
    return {**_figures(name, case, call, costs["decode"], options), **_compared(costs)}


def _figures(name: str, case: DecodeCase, call: Call, costs: Sequence[Cost], options: Options) -> Row:
    """The case, and the figures of decoding it."""
    found = figures(costs, case.work(), peaks(options.device, dtype_of(case.precision)))
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


def _compared(costs: Mapping[str, Sequence[Cost]]) -> Row:
    """Compares decoding with everything that ran alternately with it."""
    decode = medians(costs["decode"])["wall_s"]
    alone, middle = median_ratios(costs["model"], costs["decode"]), {name: medians(costs[name]) for name in costs}
    found = {"overhead": 1 - alone["wall_s"], "process_overhead": 1 - alone["process_s"]}
    for other in ("naive", "growing"):
        if other in costs:
            other_s, ratio = middle[other]["wall_s"], median_ratios(costs["decode"], costs[other])
            found |= {f"{other}_s": other_s, f"over_{other}": decode / other_s}
            found |= {f"process_over_{other}": ratio["process_s"]}
    if "graphs" in costs:
        graphs_s = middle["graphs"]["wall_s"]
        found |= {"graphs_s": graphs_s, "graphs_over_eager": graphs_s / decode}
    if "after" in costs:
        after_s, beside_s = middle["after"]["wall_s"], middle["beside"]["wall_s"]
        shorter = min(decode, after_s - decode)
        found |= {"after_s": after_s, "beside_s": beside_s, "hidden": (after_s - beside_s) / shorter}
    return found


def _model(case: DecodeCase, device: torch.device) -> VideoAR:
    """A model with torch's own initial weights, made on the device: the time does not depend on them."""
    with torch.device(device):
        return VideoAR(case.model).to(dtype_of(case.precision)).eval()


def _tokenizer(case: DecodeCase, device: torch.device) -> VideoTokenizer:
    """A tokenizer with random weights, in float32 as in `generate`."""
    with torch.device(device):
        tokenizer = VideoTokenizer(preset_config(case.tokenizer, case.model.latent_dim))
    return tokenizer.eval()


def _recordings(device: torch.device) -> Recordings | None:
    """Recordings of the passes as CUDA graphs, made in the warm-up round."""
    return Recordings.on(device) if device.type == "cuda" else None


def _decode(case: DecodeCase, model: VideoAR, open_passes: OpenPasses = enqueued) -> None:
    """Sample a batch of clips."""
    for _ in _sampled(case, model, open_passes):
        pass


def _sampled(case: DecodeCase, model: VideoAR, open_passes: OpenPasses = enqueued) -> Iterator[LatentFrame]:
    schedule, text = ScaleSchedule.named(case.schedule), list(_text(case))
    return sample_frames(model, schedule, text, SAMPLING, **_settings(case), open_passes=open_passes)


def _run_model(case: DecodeCase, model: VideoAR) -> None:
    """The passes of the same clips through the model, without what is between them."""
    schedule, text = ScaleSchedule.named(case.schedule), list(_text(case))
    run_model_alone(
        VideoPlan(
            model=model, schedule=schedule, text=text, negative=None, sampling=SAMPLING, start=0, **_settings(case)
        )
    )


def _with_tokenizer(case: DecodeCase, model: VideoAR, tokenizer: VideoTokenizer, way: DecodesFrames) -> None:
    """Sample a batch of clips and decode their pixels."""
    way(tokenizer, _sampled(case, model))


def _decode_naively(case: DecodeCase, model: VideoAR) -> None:
    """The same without a cache."""
    naive_bits(model, ScaleSchedule.named(case.schedule), _text(case), SAMPLING, **_settings(case))


def _text(case: DecodeCase) -> Int64[np.ndarray, "b m"]:
    return np.arange(1, NUM_TEXT + 1)[None].repeat(case.batch, axis=0)


def _settings(case: DecodeCase) -> dict[str, Any]:
    return {"num_frames": case.frames, "window": case.window, "seeds": range(case.batch)}
