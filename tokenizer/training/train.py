"""Training a tokenizer: one loop on one device, resumable to the digit.

Clips come from a function of the step (`ClipBatches`), so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from videoar.cluster.ground.files import write_atomically
from videoar.cluster.ground.preemption import Preempted, Preemption
from videoar.cluster.ground.schedule import warmup_cosine
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.inflate import fill_last_slices
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.training.checkpoint import TrainState, restore, save
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.training.losses import scale_dropout, tokenizer_loss
from videoar.tokenizer.video_tokenizer import VideoTokenizer

METRICS = "metrics.jsonl"
WEIGHTS = "tokenizer"
"""Folder of the trained tokenizer within the run."""

OWN = (METRICS, WEIGHTS, "checkpoints")
"""What a run writes."""

_STOP_WITHIN_S = 240.0
"""Seconds after a signal to finish the step and save."""


@runtime_checkable
class ClipBatches(Protocol):
    """A source of training clips: those with the numbers `samples` in the batch of a step, values in [-1, 1].

    A clip depends on the step and its number only, so that processes share a batch, and a resumed run sees it again.
    """

    def __call__(self, step: int, samples: range) -> Float[Tensor, "b 3 f h w"]: ...


@runtime_checkable
class OnProgress(Protocol):
    """Called after each logged step."""

    def __call__(self, done: int, total: int, metrics: Mapping[str, float]) -> None: ...


def train(
    config: TokenizerConfig,
    recipe: TokenizerTrainConfig,
    clips: ClipBatches,
    run: Path,
    *,
    device: torch.device | str = "cpu",
    progress: OnProgress | None = None,
) -> VideoTokenizer:
    """Train from the newest checkpoint of `run`, or from the start; the result is also saved in RUN/tokenizer.

    After a scheduler's signal it finishes the step, saves and raises Preempted; calling it again resumes.
    """
    state = start(config, recipe, device)
    restore(state, config, recipe, run)
    drop_metrics(run / METRICS, state.step)
    began = time.perf_counter()
    with Preemption(_STOP_WITHIN_S) as preemption, preemption.deferred():
        while state.step < recipe.steps:
            terms = train_step(state, recipe, clips(state.step, range(recipe.num_clips(state.step))).to(device))
            if state.step % recipe.log_every == 0 or state.step == recipe.steps:
                metrics = logged(terms, recipe, state.step)
                write_metrics(run / METRICS, state.step, metrics, time.perf_counter() - began)
                if progress:
                    progress(state.step, recipe.steps, metrics)
            if state.step % recipe.save_every == 0 or state.step == recipe.steps or preemption.requested:
                save(state, config, recipe, run)
            if preemption.requested and state.step < recipe.steps:
                raise Preempted(f"step {state.step} of {recipe.steps} is saved in {run}")
    state.tokenizer.save(run / WEIGHTS)
    return state.tokenizer.eval()


def start(config: TokenizerConfig, recipe: TokenizerTrainConfig, device: torch.device | str) -> TrainState:
    """Initial weights from the seed, inflated if asked for (VideoAR §4.1), and a new optimizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        tokenizer = VideoTokenizer(config)
    if recipe.inflate_from:
        fill_last_slices(tokenizer, VideoTokenizer.from_pretrained(recipe.inflate_from))
    tokenizer.to(device).train()
    optimizer = torch.optim.AdamW(
        tokenizer.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    return TrainState(tokenizer, optimizer, step=0)


def train_step(
    state: TrainState, recipe: TokenizerTrainConfig, video: Float[Tensor, "b 3 f h w"]
) -> dict[str, Float[Tensor, ""]]:
    """One update; returns the loss and its terms. A loss that is not finite stops the run before it changes weights."""
    schedule = ScaleSchedule.named(f"{video.shape[-2]}x{video.shape[-1]}")
    kept = scale_dropout(recipe.loss, video.shape[0], schedule.num_scales, seed=recipe.seed, step=state.step)
    with torch.autocast(video.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"):
        decoded, seen = state.tokenizer(video, schedule, kept.to(video.device))
    terms = tokenizer_loss(video, decoded, seen, recipe.loss)
    state.optimizer.zero_grad(set_to_none=True)
    terms["loss"].backward()
    norm = torch.nn.utils.clip_grad_norm_(state.tokenizer.parameters(), recipe.clip_norm or math.inf)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"step {state.step}: loss {terms['loss'].item()}, gradient norm {norm.item()}")
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    state.optimizer.step()
    state.step += 1
    return {**{name: value.detach() for name, value in terms.items()}, "grad_norm": norm}


def learning_rate(recipe: TokenizerTrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine from the peak to `final_fraction` of it."""
    return recipe.learning_rate * warmup_cosine(
        step, num_steps=recipe.steps, warmup_steps=recipe.warmup_steps, final_fraction=recipe.final_fraction
    )


def logged(terms: Mapping[str, Tensor], recipe: TokenizerTrainConfig, step: int) -> dict[str, float]:
    """The figures of a finished step, for the log; only this function waits for the device."""
    metrics = {name: round(value.item(), 6) for name, value in terms.items()}
    return metrics | {"learning_rate": learning_rate(recipe, step - 1)}


def write_metrics(path: Path, step: int, metrics: Mapping[str, float], seconds: float) -> None:
    """Append one JSON line; `step` counts finished updates, `seconds` is the time of this process."""
    with path.open("a") as file:
        file.write(json.dumps({"step": step, **metrics, "seconds": round(seconds, 3)}) + "\n")


def has_saved(run: Path, save_every: int) -> bool:
    """Whether a run has had a checkpoint, by its lines: one is saved every `save_every` steps, and at the end."""
    lines = (run / METRICS).read_text().splitlines() if (run / METRICS).exists() else []
    steps = [json.loads(line)["step"] for line in lines if line.endswith("}")]
    return (run / WEIGHTS).exists() or max(steps, default=0) > save_every


def drop_metrics(path: Path, step: int) -> None:
    """Remove lines of updates after the checkpoint, and the partial line of a killed process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return
    lines = path.read_text().split("\n")[:-1]
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    write_atomically(path, "".join(line + "\n" for line in kept))
