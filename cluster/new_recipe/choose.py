"""A recipe for clips on a machine: buckets from the clips, a model that its memory holds, steps by its rate."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from videoar.cluster.new_recipe.clips import Clips
from videoar.cluster.new_recipe.machine import CPU_FLOPS_PER_S, ThisMachine
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.frame_sampling import clip_span_s
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import (
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.pretrain.planner.plan import mean_pack, plan
from videoar.tokenizer import ScaleSchedule, open_tokenizer
from videoar.tokenizer.config import ClipBucket, TokenizerSource
from videoar.tokenizer.scales import latent_frames, same_area

FPS = 8.0
"""Frame rate that the clips' own is divided down to: that of the package's other recipes."""
HELD = (0.1, 0.2, 0.3)
"""Shares of every film, at its end, that may be held out for validation: the first into which a clip fits."""
ENOUGH_CLIPS = 256
"""With fewer clips than this in a film's end-to-end cut, clips overlap."""
MOST_PASSES = 300
"""Training ends when every clip has been seen this often, even if hours are left: a small folder is learnt by heart."""
LEAST_ENLARGED = 0.75
"""Clips whose shorter side is less than this share of a frame's are trained at the smaller sizes."""
SHARE_OF_SMALL = 0.25
"""Share of the steps at the small size, where they are cheap and teach the coarse scales."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """What a kind of machine can train within hours."""

    sizes: tuple[tuple[str, str], ...]
    """Frame sizes of the two stages, largest first; of the second, the aspect ratio is that of the clips."""
    num_frames: int
    """Longest clips."""
    text_tokens: int
    """Longest captions."""
    least_pack: int
    """Fewest tokens of a pack."""
    packs: int
    """Packs of a step, for each device."""
    models: tuple[tuple[int, int, int, float], ...]
    """Layers, width, heads and learning rate, largest first."""
    hours: float
    """How long a training takes if nothing else is asked for."""
    ema_decay: float


ON_CPU = Scale(
    sizes=(("64x64", "128x128"),),
    num_frames=9,
    text_tokens=64,
    least_pack=512,
    packs=1,
    models=((4, 128, 2, 3e-3), (2, 64, 2, 3e-3)),
    hours=0.2,
    ema_decay=0.99,
)
"""Model, sizes and rates of `videoar demo`."""

ON_GPU = Scale(
    sizes=(("128x128", "256x256"), ("64x64", "128x128")),
    num_frames=17,
    text_tokens=256,
    least_pack=8192,
    packs=8,
    models=((12, 768, 12, 6e-4), (8, 512, 8, 1e-3)),
    hours=4.0,
    ema_decay=0.999,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A recipe, and what was reckoned for it."""

    recipe: Recipe
    step_s: float
    """Estimated seconds of a mean step."""
    passes: float
    """About how often the last stage uses every clip."""


def choose(clips: Clips, machine: ThisMachine, name: str, hours: float | None = None) -> Choice:
    """The recipe: the largest model of those for this kind of machine whose training fits into its memory."""
    scale = ON_GPU if machine.gpus else ON_CPU
    fps, num_frames = _rate_and_frames(clips, scale.num_frames)
    data = _data(clips, scale, machine, fps, num_frames)
    drafts = list(_drafts(clips, scale, machine, name, data))
    draft = next((draft for draft in drafts if _largest(draft, machine) <= machine.room_bytes), drafts[-1])
    seconds, of_a_pass = _step_s(draft, machine), _steps_of_a_pass(draft, clips)
    recipe = _with_steps(draft, min(3600 * (hours or scale.hours) / seconds, MOST_PASSES * of_a_pass))
    return Choice(recipe=recipe, step_s=seconds, passes=recipe.stages[-1].steps / of_a_pass)


def _step_s(recipe: Recipe, machine: ThisMachine) -> float:
    """Estimated seconds of a mean step: those of `videoar plan` for a GPU that it knows."""
    steps = sum(stage.steps for stage in recipe.stages)
    if machine.gpus:
        planned = plan(recipe, gpus=machine.gpus, gpu=machine.known_gpu or "A100", gpus_per_node=machine.gpus)
        return planned.hours * 3600 / steps
    flops = sum(mean_pack(recipe, stage).flops * stage.batch * stage.steps for stage in recipe.stages)
    return flops / CPU_FLOPS_PER_S / steps


def _steps_of_a_pass(recipe: Recipe, clips: Clips) -> float:
    """About how many steps of the last stage use every clip once."""
    stage = recipe.stages[-1]
    dataset = next(item for item in recipe.data.datasets if item.name == stage.mixture[0].dataset)
    stride_s = dataset.stride_s or dataset.bucket.num_frames / dataset.bucket.fps
    count = max(1.0, clips.num_files, dataset.source.end_fraction * clips.total_s / stride_s)
    return count / (mean_pack(recipe, replace(stage, steps=1)).samples * stage.batch)


def _rate_and_frames(clips: Clips, most: int) -> tuple[float, int]:
    """Frame rate and frames of a clip that three of four films hold, at a whole fraction of the slowest common rate."""
    if not clips.videos:
        return FPS, 1
    rate = _low_quartile([probe.fps for probe in clips.videos])
    duration_s = _low_quartile([probe.duration_s for probe in clips.videos])
    for divisor in range(max(1, round(rate / FPS)), 0, -1):
        fps = round(rate / divisor, 2)
        for num_frames in range(most, 1, -4):
            if clip_span_s(num_frames, fps) + 1 / rate <= (1 - HELD[0]) * duration_s:
                return fps, num_frames
    return FPS, 1


def _low_quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def _data(clips: Clips, scale: Scale, machine: ThisMachine, fps: float, num_frames: int) -> DataConfig:
    """Datasets of both sizes, and held-out ends of films that are long enough for it."""
    held = _held_share(clips, fps, num_frames)
    sizes = next((pair for pair in scale.sizes if _covers(clips, pair[-1])), scale.sizes[-1])
    small, large = sizes[0], nearest_aspect(sizes[1], clips.aspect)
    train = SourceConfig(path=clips.path, end_fraction=1 - held)
    stride_s = round(clips.total_s / ENOUGH_CLIPS, 2) if clips.videos else 0.0
    overlap_s = max(0.02, stride_s) if num_frames > 1 and stride_s < num_frames / fps else 0.0
    datasets = [
        _dataset(name, train, size, num_frames, fps, stride_s=overlap_s, with_images=clips.has_images)
        for name, size in (("small", small), ("large", large))
    ]
    if held:
        end = replace(train, start_fraction=1 - held, end_fraction=1.0)
        datasets.append(_dataset("held", end, large, num_frames, fps))
    return DataConfig(
        datasets=tuple(datasets),
        tokenizer=TokenizerSource(path="demo"),
        online=True,
        decode_processes=min(4, machine.cores),
    )


def _held_share(clips: Clips, fps: float, num_frames: int) -> float:
    """The share of every film to hold out; 0 if there are no films, or too short ones."""
    if num_frames == 1:
        return 0.0
    duration_s = _low_quartile([probe.duration_s for probe in clips.videos])
    needed_s = clip_span_s(num_frames, fps) + 1 / _low_quartile([probe.fps for probe in clips.videos])
    return next((share for share in HELD if share * duration_s >= needed_s), 0.0)


def _covers(clips: Clips, size: str) -> bool:
    """Whether most files are about as large as frames of this size."""
    sides = [min(probe.height, probe.width) for probe in clips.probes]
    return statistics.median(sides) >= LEAST_ENLARGED * min(ScaleSchedule.named(size).pixels)


def _dataset(
    name: str,
    source: SourceConfig,
    size: str,
    num_frames: int,
    fps: float,
    *,
    stride_s: float = 0.0,
    with_images: bool = False,
) -> DatasetConfig:
    """Clips of one size; images too, where the folder has some."""
    still = (ClipBucket(schedule=size, num_frames=1, fps=fps),) if with_images and num_frames > 1 else ()
    return DatasetConfig(
        name=name,
        source=source,
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=fps),
        more_buckets=still,
        stride_s=stride_s,
    )


def nearest_aspect(size: str, aspect: float) -> str:
    """The size of the same area whose width over height is nearest to a ratio."""

    def distance(name: str) -> float:
        height, width = ScaleSchedule.named(name).pixels
        return abs(math.log(width / height / aspect))

    return min(same_area(size), key=distance)


def _drafts(clips: Clips, scale: Scale, machine: ThisMachine, name: str, data: DataConfig) -> Iterator[Recipe]:
    """Recipes of models from large to small, each without and with recomputation; their steps are not decided yet."""
    longest = max((len(caption.encode()) for caption in clips.captions), default=0)
    text = min(scale.text_tokens, max(16, 16 * math.ceil(longest / 16)))
    bits = open_tokenizer(data.tokenizer).config.latent_dim
    for layers, width, heads, rate in scale.models:
        model = ModelConfig(
            num_layers=layers, width=width, num_heads=heads, latent_dim=bits, text=TextConfig(max_tokens=text)
        )
        if not machine.gpus:
            model = replace(model, rope_base=50.0)
        for recompute in ("none", "selective", "full") if machine.gpus else ("none",):
            parallel = ParallelConfig(zero_stage=1 if machine.gpus else 0, recompute=recompute)
            yield Recipe(
                name=name,
                model=model,
                data=data,
                stages=tuple(_stage(part, model, data, scale, machine, rate) for part in ("small", "large")),
                optimizer=OptimizerConfig(ema_decay=scale.ema_decay),
                parallel=parallel,
                log=LogConfig(wandb="off"),
                precision="bf16" if machine.gpus else "float32",
            )


def _stage(
    name: str, model: ModelConfig, data: DataConfig, scale: Scale, machine: ThisMachine, rate: float
) -> StageConfig:
    """A stage over the dataset of its name, in packs that hold its longest sample."""
    bucket = next(dataset.bucket for dataset in data.datasets if dataset.name == "large")
    longest = ScaleSchedule.named(bucket.schedule).video_tokens(latent_frames(bucket.num_frames))
    tokens = max(scale.least_pack, 256 * math.ceil((longest + model.text.max_tokens) / 256))
    return StageConfig(
        name=name,
        mixture=(MixturePart(dataset=name),),
        steps=1,
        tokens_per_pack=tokens,
        batch=scale.packs * max(1, machine.gpus),
        learning_rate=rate,
    )


def _largest(recipe: Recipe, machine: ThisMachine) -> int:
    """Bytes of the process that holds most, as `videoar plan` counts them."""
    return max(rank_memory(recipe, stage, max(1, machine.gpus)).total for stage in recipe.stages)


def _with_steps(recipe: Recipe, steps: float) -> Recipe:
    """The recipe with about so many steps over both stages, and logs at a few points of them."""
    total = max(20, int(round(steps, 2 - len(str(int(steps))))))
    first = max(5, round(SHARE_OF_SMALL * total))
    stages = tuple(
        replace(stage, steps=count) for stage, count in zip(recipe.stages, (first, total - first), strict=True)
    )
    has_held = any(dataset.name == "held" for dataset in recipe.data.datasets)
    often = max(5, total // 10)
    log = replace(
        recipe.log,
        save_every=often,
        keep_last=1,
        validate_every=often if has_held else 0,
        validation=("held",) if has_held else (),
        sample_every=max(5, total // 4),
    )
    warmup = min(recipe.optimizer.warmup_steps, max(1, total // 40))
    return replace(recipe, stages=stages, log=log, optimizer=replace(recipe.optimizer, warmup_steps=warmup))
