"""A recipe for clips on a machine: data from the clips, a model that its memory holds, steps by its rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from videoar.cluster.new_recipe.clips import Clips
from videoar.cluster.new_recipe.data import choose_data
from videoar.cluster.new_recipe.machine import CPU_FLOPS_PER_S, ThisMachine
from videoar.cluster.new_recipe.start import Start
from videoar.cluster.new_recipe.tokenizing import clips_of_a_step, num_clips, tokenizing_s
from videoar.data_pipeline.config.data import DataConfig
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import (
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    Recompute,
    StageConfig,
    TextConfig,
)
from videoar.pretrain.planner.plan import mean_pack, plan
from videoar.tokenizer import ScaleSchedule, open_tokenizer
from videoar.tokenizer.config import TokenizerSource
from videoar.tokenizer.scales import latent_frames

TOKENIZER = "world"
"""The tokenizer of a new model: of those that ship, the one that keeps more of films and colours (see their cards)."""

MOST_PASSES = 300
"""Training ends when every clip was seen this often, even if hours are left: a small folder would be memorised."""
LEAST_TRAINING = 0.5
"""Least share of the hours for training steps, however long it takes to turn the clips into bits."""
GOING_ON = 0.3
"""Learning rate for continuing trained weights, as a share of a new model's rate."""
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
    """Default length of a training."""
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
"""Model, sizes and rates of `videoar demo --from-scratch`."""

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
    """A recipe, and the estimates made for it."""

    recipe: Recipe
    step_s: float
    """Estimated seconds of a mean step."""
    passes: float
    """About how often the last stage uses every clip."""
    tokenizing_s: float = 0.0
    """Estimated seconds to turn the clips into bits, in addition to the steps."""
    start: Start | None = None


def choose(
    clips: Clips, machine: ThisMachine, name: str, hours: float | None = None, start: Start | None = None
) -> Choice:
    """The recipe: the model of `start`, or the largest of those for this kind of machine that its memory can train."""
    scale = ON_GPU if machine.gpus else ON_CPU
    tokenizer = start.tokenizer if start else TokenizerSource(path=TOKENIZER)
    data = choose_data(clips, tokenizer, scale.sizes, scale.num_frames, decode_processes=min(4, machine.cores))
    models = [(start.model, GOING_ON * scale.models[0][-1])] if start else _new_models(clips, scale, machine, data)
    drafts = [
        _draft(name, *model, data, scale, machine, memory) for model in models for memory in _MEMORY[machine.gpus > 0]
    ]
    draft = next((draft for draft in drafts if _largest(draft, machine) <= machine.room_bytes), drafts[-1])
    seconds, of_a_pass = _step_s(draft, machine), _steps_of_a_pass(draft, clips)
    if start:
        draft = replace(draft, guidance=start.guidance, continued_guidance=start.continued_guidance)
    budget_s, most = 3600 * (hours or scale.hours), MOST_PASSES * of_a_pass
    recipe = _with_steps(draft, min(budget_s / seconds, most))
    left_s = max(LEAST_TRAINING * budget_s, budget_s - tokenizing_s(recipe, clips, machine))
    recipe = _with_steps(draft, min(left_s / seconds, most))
    return Choice(
        recipe=recipe,
        step_s=seconds,
        passes=recipe.stages[-1].steps / of_a_pass,
        tokenizing_s=tokenizing_s(recipe, clips, machine),
        start=start,
    )


def _step_s(recipe: Recipe, machine: ThisMachine) -> float:
    """Estimated seconds of a mean step; on GPUs, those of `videoar plan`."""
    steps = sum(stage.steps for stage in recipe.stages)
    if machine.gpus:
        planned = plan(recipe, gpus=machine.gpus, gpu=machine.planned_as, gpus_per_node=machine.gpus)
        return planned.hours * 3600 / steps
    flops = sum(mean_pack(recipe, stage).flops * stage.batch * stage.steps for stage in recipe.stages)
    return flops / CPU_FLOPS_PER_S / steps


def _steps_of_a_pass(recipe: Recipe, clips: Clips) -> float:
    """About how many steps of the last stage use every clip once."""
    stage = recipe.stages[-1]
    dataset = next(item for item in recipe.data.datasets if item.name == stage.mixture[0].dataset)
    return num_clips(dataset, clips) / clips_of_a_step(recipe, replace(stage, steps=1))


def _new_models(clips: Clips, scale: Scale, machine: ThisMachine, data: DataConfig) -> list[tuple[ModelConfig, float]]:
    """Models from large to small, with their learning rates."""
    longest = max((len(caption.encode()) for caption in clips.captions), default=0)
    text = TextConfig(max_tokens=min(scale.text_tokens, max(16, 16 * math.ceil(longest / 16))))
    bits = open_tokenizer(data.tokenizer).config.latent_dim
    models = [
        (ModelConfig(num_layers=layers, width=width, num_heads=heads, latent_dim=bits, text=text), rate)
        for layers, width, heads, rate in scale.models
    ]
    return models if machine.gpus else [(replace(model, rope_base=50.0), rate) for model, rate in models]


_MEMORY: dict[bool, tuple[Recompute, ...]] = {True: ("none", "selective", "full"), False: ("none",)}
"""Modes of recomputation, with and without GPUs, from the fastest to the one that needs least memory."""


def _draft(
    name: str,
    model: ModelConfig,
    rate: float,
    data: DataConfig,
    scale: Scale,
    machine: ThisMachine,
    recompute: Recompute,
) -> Recipe:
    """A recipe whose steps are not decided yet."""
    return Recipe(
        name=name,
        model=model,
        data=data,
        stages=tuple(_stage(part, model, data, scale, machine, rate) for part in ("small", "large")),
        optimizer=OptimizerConfig(ema_decay=scale.ema_decay),
        parallel=ParallelConfig(zero_stage=1 if machine.gpus else 0, recompute=recompute),
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
    """Bytes of the process that needs most memory, as `videoar plan` counts them."""
    return max(rank_memory(recipe, stage, max(1, machine.gpus)).total for stage in recipe.stages)


def _with_steps(recipe: Recipe, steps: float) -> Recipe:
    """The recipe with about this number of steps in both stages together, and a few points of logging."""
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
