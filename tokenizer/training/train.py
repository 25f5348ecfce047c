"""Training a tokenizer: one loop, in one or several processes; a resumed run gives identical results.

Clips come from a function of the step (`ClipBatches`), so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from videoar.cluster.ground.process import PREEMPTED_MARKER, mark_preempted
from videoar.cluster.ground.processes.grace import grace_s
from videoar.cluster.ground.processes.preemption import Preempted, Preemption
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.checkpoint import restore, save, saved_folders
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.training.metrics import METRICS, drop_metrics, last_step, over_processes, write_metrics
from videoar.tokenizer.training.peers import Peers, check_shares
from videoar.tokenizer.training.same_settings import WEIGHTS
from videoar.tokenizer.training.state import TrainState, start
from videoar.tokenizer.training.step import ALONE, Terms, learning_rate, train_step
from videoar.tokenizer.video_tokenizer import VideoTokenizer

OWN = (METRICS, WEIGHTS, "checkpoints", "samples", "wandb", "tensorboard", ".lock", PREEMPTED_MARKER)
"""Files and folders that a run and its loggers write."""

STOP_WITHIN_S = 240.0
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


@runtime_checkable
class Show(Protocol):
    """Called every `show_every` steps and at the end, with the tokenizer as it would be saved; returns metrics, which
    are added to the metrics of that step."""

    def __call__(self, step: int, tokenizer: VideoTokenizer) -> Mapping[str, float]: ...


def train(
    config: TokenizerConfig,
    recipe: TokenizerTrainConfig,
    clips: ClipBatches,
    run: Path,
    *,
    device: torch.device | str = "cpu",
    peers: Peers = ALONE,
    progress: OnProgress | None = None,
    show: Show | None = None,
) -> VideoTokenizer:
    """Train from the newest checkpoint of `run`, or from the start; the result is also saved in RUN/tokenizer.

    After a scheduler's signal to any process all of them finish the step; the first one saves, and all raise Preempted;
    calling it again resumes. Every process of `peers` calls this; the first one writes, reports and shows.
    """
    check_shares(recipe, peers.size)
    loop = _Loop(
        config, recipe, start(config, recipe, device, is_new=not saved_folders(run)), run, peers, progress, show
    )
    loop.resume()
    with Preemption(grace_s(STOP_WITHIN_S), lambda: mark_preempted(run)) as preemption, preemption.deferred():
        while not loop.is_over:
            state = loop.state
            video = clips(state.step, peers.share(recipe.num_clips(state.step))).to(device)
            terms = train_step(state, recipe, video, peers)
            if loop.is_due(recipe.log_every) or loop.shows:
                loop.report(terms)
            stopping = peers.agree(preemption.requested)
            if loop.is_due(recipe.save_every) or stopping:
                loop.save()
            if stopping and not loop.is_over:
                peers.wait()
                raise Preempted(f"step {state.step} of {recipe.steps} is saved in {run}")
    return loop.finish()


@dataclass
class _Loop:
    """A run in progress, and what surrounds its steps. Every process calls the same methods in the same order."""

    config: TokenizerConfig
    recipe: TokenizerTrainConfig
    state: TrainState
    run: Path
    peers: Peers
    progress: OnProgress | None
    show: Show | None
    began: float = field(default_factory=time.perf_counter)

    @property
    def is_over(self) -> bool:
        return self.state.step >= self.recipe.steps

    def is_due(self, every: int) -> bool:
        """Whether an action that is repeated every `every` steps and at the end is due now."""
        return self.state.step % every == 0 or self.is_over

    @property
    def shows(self) -> bool:
        return self.show is not None and self.is_due(self.recipe.show_every)

    def resume(self) -> None:
        """Load the newest checkpoint, if there is one, and drop what was logged after it."""
        restore(self.state, self.config, self.recipe, self.run)
        self.peers.check_same(self.state.step)
        if self.peers.is_first:
            (self.run / PREEMPTED_MARKER).unlink(missing_ok=True)
            drop_metrics(self.run / METRICS, self.state.step)
        else:
            self.state.usage.clear()  # the first process has the counts of all

    def report(self, terms: Terms) -> None:
        """Log a finished step, with how the bits were used since the step before."""
        metrics, step = over_processes(terms, self.peers), self.state.step
        self.state.usage.gather(self.peers)
        if not self.peers.is_first:
            return
        metrics |= {"learning_rate": learning_rate(self.recipe, step - 1), **self.state.usage.report()}
        if self.shows:
            metrics |= self._shown()
        write_metrics(self.run / METRICS, step, metrics, time.perf_counter() - self.began)
        if self.progress:
            self.progress(step, self.recipe.steps, metrics)

    def _shown(self) -> Mapping[str, float]:
        assert self.show is not None
        tokenizer = self.state.tokenizer.eval()
        with self.state.average.in_use(), torch.no_grad():
            figures = self.show(self.state.step, tokenizer)
        tokenizer.train()
        return figures

    def save(self) -> None:
        self.state.usage.gather(self.peers)
        if self.peers.is_first:
            save(self.state, self.config, self.recipe, self.run)

    def finish(self) -> VideoTokenizer:
        """Save the result; the tokenizer as it is saved."""
        self.state.average.adopt()
        if self.peers.is_first:
            self.state.tokenizer.save(self.run / WEIGHTS)
        self.peers.wait()
        return self.state.tokenizer.eval()


def has_saved(run: Path, save_every: int) -> bool:
    """Whether a run has saved a checkpoint, judged by its metrics: it does every `save_every` steps and at the end."""
    return (run / WEIGHTS).exists() or last_step(run / METRICS) > save_every
