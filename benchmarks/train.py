"""A whole training step of our model, next to Llama of the same shape; of large models eager or compiled, alone.

MFU is useful FLOPs (attended pairs, no recomputation) over the peak; the floor is those FLOPs, or the weights,
gradients and moments that AdamW reads and writes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal

import torch

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.material import bench_recipe, full_pack, model_of, num_frames
from videoar.benchmarks.measure import Call, Cost, alternate, median_ratios, medians
from videoar.benchmarks.peak_memory import peak_growth
from videoar.cluster.ground.errors import InputError
from videoar.configs.sizes import SIZES
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.budget.memory import parameter_sizes, rank_memory
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe
from videoar.pretrain.engine.plain import PlainEngine

Subject = Literal["videoar", "videoar compiled", "llama"]
BYTES_PER_WEIGHT = 28.0
"""Of a step in float32: AdamW reads weight, gradient and two moments and writes three of them."""
MEMORY_SHARE = 0.95
"""Share of a GPU's memory that a step may plan to use; kernels and fragments take the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainCase:
    """A model on one pack of equal samples."""

    model: ModelConfig
    schedule: str
    frames: int
    """Latent frames of each sample."""
    length: int
    """Rows of the pack, which is filled with samples."""
    window: int = 16
    p_mask: float = 0.1
    precision: Literal["float32", "bf16"] = "bf16"
    subjects: tuple[Subject, ...] = ("videoar", "llama")

    def recipe(self, parallel: ParallelConfig) -> Recipe:
        """The debug recipe with this model and pack, without the moving average, which Llama's step lacks."""
        recipe = bench_recipe(self.model, tokens_per_pack=self.length, batch=1)
        stage = replace(recipe.stages[0], window=self.window, p_mask=self.p_mask)
        optimizer = replace(recipe.optimizer, ema_decay=0.0)
        return replace(recipe, stages=(stage,), optimizer=optimizer, precision=self.precision, parallel=parallel)


def _in_both(cases: Mapping[str, TrainCase]) -> dict[str, TrainCase]:
    """Each case in float32 and in bf16."""
    precisions: tuple[Literal["float32", "bf16"], ...] = ("float32", "bf16")
    return {f"{name} {kind}": replace(case, precision=kind) for name, case in cases.items() for kind in precisions}


def _on_gpu() -> Iterator[tuple[str, TrainCase]]:
    """The most valuable first, because a run may be stopped: the layout of the 4 B recipe, then all sizes."""
    sizes, schedules = ("4b-hd128", "4b", "xl", "l"), ("384x672", "256x256")
    order = product(schedules, (False, True), sizes)
    for schedule, is_compiled, name in ((schedules[0], True, sizes[0]), *order):
        subject: Subject = "videoar compiled" if is_compiled else "videoar"
        case = TrainCase(model=SIZES[name], schedule=schedule, frames=9, length=24_064, subjects=(subject,))
        yield f"{name} {schedule}{' compiled' if is_compiled else ''}", case
    one = TrainCase(model=SIZES["l"], schedule="256x256", frames=9, length=4864)
    yield "l 256x256 one clip", replace(one, subjects=("videoar", "llama"))


CASES: Mapping[Size, Mapping[str, TrainCase]] = {
    "toy": _in_both({"256 width 64": TrainCase(model=model_of(2, 64, 2), schedule="64x64", frames=8, length=256)}),
    "cpu": _in_both(
        {
            "2048 width 512": TrainCase(model=model_of(4, 512, 8), schedule="128x128", frames=15, length=2048),
            "1024 width 256": TrainCase(
                model=model_of(4, 256, 4),
                schedule="128x128",
                frames=7,
                length=1024,
                subjects=("videoar", "videoar compiled", "llama"),
            ),
            "8192 window 4": TrainCase(model=model_of(2, 256, 4), schedule="256x256", frames=15, length=8192, window=4),
        }
    ),
    "gpu": dict(_on_gpu()),
}
"""On a GPU a pack of 24,064 rows holds one clip of 384x672 and 33 frames (23,652 tokens) or five of 256x256."""


def rows(options: Options) -> Iterator[Row]:
    """A row for each case and subject."""
    for name, case in options.chosen(CASES):
        yield from _rows(name, case, options)
        gc.collect()  # the next model needs the memory of this one
        if options.device.type == "cuda":
            torch.cuda.empty_cache()


def _rows(name: str, case: TrainCase, options: Options) -> Iterator[Row]:
    """Rows of subjects that alternate; one row that says why if they do not fit or run out of memory."""
    try:
        parallel = fitting(case, options.device)
        build = partial(full_pack, case.recipe(parallel), case.schedule, case.frames, options.device)
        pack = build()
        calls = {subject: _step_of(subject, case, parallel, pack, options.device) for subject in case.subjects}
        costs = alternate(calls, options.repeats)
        packing = alternate({"pack": build}, options.repeats)["pack"]
    except InputError as error:
        yield {"case": name, "subject": case.subjects[0], "unavailable": str(error)}
    except RuntimeError as error:  # out of memory, or a kernel that does not run on this device
        yield {"case": name, "subject": case.subjects[0], "error": str(error).splitlines()[0]}
    else:
        for subject, call in calls.items():
            yield {
                "case": name,
                "subject": subject,
                **_shape(case, pack, parallel),
                **_speed(case, pack, costs[subject], options.device),
                "memory_bytes": peak_growth(call, options.device),
                **_peak(options.device),
                "pack_s": medians(packing)["wall_s"],
                **_over_llama(subject, costs),
            }


def _step_of(subject: Subject, case: TrainCase, parallel: ParallelConfig, pack: Pack, device: torch.device) -> Call:
    """What makes one step."""
    recipe = case.recipe(replace(parallel, compile=subject == "videoar compiled"))
    if subject == "llama":
        from videoar.benchmarks.llama import LlamaStep  # needs transformers

        return LlamaStep(recipe, pack, device)
    engine = PlainEngine(recipe, device)
    return partial(_step, engine, pack)


def _step(engine: PlainEngine, pack: Pack) -> None:
    result = engine.step([pack], 1, num_frames([pack]), learning_rate=1e-4)
    assert result.applied, "a benchmark of steps that are not applied measures another thing"


def fitting(case: TrainCase, device: torch.device) -> ParallelConfig:
    """The least recomputation with which a step fits a GPU's memory. InputError if none does."""
    if device.type != "cuda":
        return ParallelConfig()
    size_bytes = torch.cuda.get_device_properties(device).total_memory
    for parallel in (ParallelConfig(), ParallelConfig(recompute="selective"), ParallelConfig(recompute="full")):
        if planned_bytes(case.recipe(parallel)) < MEMORY_SHARE * size_bytes:
            return parallel
    raise InputError("cases", case.schedule, "does not fit this GPU", "use a smaller model or a larger GPU")


def planned_bytes(recipe: Recipe) -> int:
    """Memory of the plain engine: under bf16 it holds float32 weights next to those it computes with."""
    memory = rank_memory(recipe, recipe.stages[0], 1)
    return memory.total + (4 * memory.parameters if recipe.precision == "bf16" else 0)


def _shape(case: TrainCase, pack: Pack, parallel: ParallelConfig) -> Row:
    names = ("num_layers", "width", "num_heads", "head_dim")
    return {
        **{name: getattr(case.model, name) for name in names},
        "parameters": sum(parameter_sizes(case.model).values()),
        "length": case.length,
        "tokens": _tokens(pack),
        "attended_pairs": pack.layout.attended_pairs,
        "window": case.window,
        "p_mask": case.p_mask,
        "precision": case.precision,
        "recompute": parallel.recompute,
        "attention": "auto",
    }


def _speed(case: TrainCase, pack: Pack, costs: list[Cost], device: torch.device) -> Row:
    flops = training_flops(case.model, _tokens(pack), float(pack.layout.attended_pairs))
    work = Work(flops, BYTES_PER_WEIGHT * sum(parameter_sizes(case.model).values()))
    peak = peaks(device, dtype_of(case.precision))
    found = figures(costs, [work], peak)
    return {**found, "tokens_per_s": _tokens(pack) / found["wall_s"], "mfu": found["flops_per_s"] / peak.flops_per_s}


def _peak(device: torch.device) -> Row:
    """Bytes of all tensors at the peak of the last call, state included; not known on a CPU."""
    return {"peak_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}


def _over_llama(subject: Subject, costs: Mapping[Subject, list[Cost]]) -> Row:
    """Times divided by Llama's times: medians over rounds in which both ran one after the other."""
    if subject == "llama" or "llama" not in costs:
        return {}
    ratios = median_ratios(costs[subject], costs["llama"])
    return {"over_llama": ratios["wall_s"], "process_over_llama": ratios["process_s"]}


def _tokens(pack: Pack) -> int:
    """Rows that are not padding."""
    return int((pack.layout.sample >= 0).sum())
