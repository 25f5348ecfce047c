"""Overfits one drawn clip and checks that generation returns it, which shows where training and inference differ.

Every part is the real one: the drawing is planned and tokenized, the loop trains and saves, the export is opened as a
user opens it, and generation runs freely: each scale and frame is computed from generated ones. If a position, a mask,
an input or a cached key differs between training and inference, all later bits are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from videoar.cluster.ground.errors import Stopped
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.config import (
    CorrectionConfig,
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.pretrain.data import open_manifests, open_text
from videoar.pretrain.evaluate.bits import model_tables, read_samples
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import Guidance, Request, VideoPipeline
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.generate.video import to_frames
from videoar.pretrain.run_folder import DATA, read_lines
from videoar.pretrain.train import train
from videoar.tokenizer.config import ClipBucket, TokenizerSource
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule, latent_frames

CLIP = "clip"
ENOUGH = 0.999
"""Share of the clip's bits that generation must reproduce."""
WINDOW = 2
"""Past latent frames that a frame sees: fewer than the clip has, so that the cache must forget some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfCheck:
    """How large the check is."""

    size: str = "64x64"
    num_frames: int = 17
    steps: int = 400
    history: HistoryKind = "scales"

    @property
    def recipe(self) -> Recipe:
        """One clip, every step; nothing random but its order, which has one element."""
        schedule = ScaleSchedule.named(self.size)
        tokens = schedule.video_tokens(latent_frames(self.num_frames), self.history)
        stage = StageConfig(
            name="overfit",
            mixture=(MixturePart(dataset=CLIP),),
            steps=self.steps,
            tokens_per_pack=256 * -(-(tokens + 64) // 256),
            batch=1,
            learning_rate=3e-3,
            window=WINDOW,
            p_mask=0.0,
        )
        source = SourceConfig(kind="shapes", num_clips=1, seed=0)
        bucket = ClipBucket(schedule=self.size, num_frames=self.num_frames)
        return Recipe(
            name="selfcheck",
            model=ModelConfig(
                num_layers=2, width=64, num_heads=4, latent_dim=16, history=self.history, text=TextConfig(max_tokens=64)
            ),
            data=DataConfig(
                datasets=(DatasetConfig(name=CLIP, source=source, bucket=bucket),),
                tokenizer=TokenizerSource(preset="tiny", latent_dim=16, seed=0),
                online=True,
            ),
            stages=(stage,),
            correction=CorrectionConfig(corruption="off", targets="stored"),
            optimizer=OptimizerConfig(warmup_steps=20, ema_decay=0.9, weight_decay=0.0),
            log=LogConfig(wandb="off", save_every=self.steps),
            text_dropout=0.0,
            precision="float32",
            threads=1,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How generated bits compare with those of the clip."""

    wrong: Bool[Tensor, "t tokens k"]
    schedule: ScaleSchedule
    taught: Float64[np.ndarray, "t s"]
    """Share of right bits if the history is the clip's own, as in training."""

    @property
    def share(self) -> float:
        """Share of the clip's bits that are right."""
        return 1.0 - float(self.wrong.float().mean())

    @property
    def first_wrong(self) -> str | None:
        """Where generation first differs from the clip, and the likely cause; None if all bits are right."""
        for frame, of_frame in enumerate(self.wrong):
            for scale, bits in enumerate(of_frame.split(list(self.schedule.tokens))):
                if bits.any():
                    height, width = self.schedule.grids[scale]
                    place = f"frame {frame + 1}, scale {scale + 1} ({height}x{width})"
                    return f"{place}: {int(bits.sum())} of {bits.numel()} bits are wrong; {self._blame(frame, scale)}"
        return None

    def _blame(self, frame: int, scale: int) -> str:
        taught = self.taught[frame, scale]
        if taught == 1:
            return "given the clip's own history, all are right: training and inference differ"
        return f"given the clip's own history, {taught:.1%} are right: it is not learned yet, use more --steps"


def selfcheck(check: SelfCheck, out: Path, say: Callable[[str], None]) -> Outcome:
    """Train, export and generate in `out`, and print each step; Stopped if generation does not return the clip."""
    recipe, run = check.recipe, out / "run"
    train(recipe, run)
    say(_trained(check, run))
    pipeline = VideoPipeline.from_pretrained(export(run, out / "weights"), dtype=torch.float32)
    say(f"export  {out / 'weights'}, opened as `videoar generate` does")
    sample = _sample(recipe, run)
    outcome = _compared(pipeline, sample, check)
    say(f"bits    {outcome.share:.3%} of {outcome.wrong.numel():,} are the clip's, generated freely and greedily")
    if outcome.share < ENOUGH:
        raise Stopped(f"selfcheck failed: {outcome.first_wrong}")
    say(f"pixels  {_pixels(pipeline, sample, check)}")
    return outcome


def _trained(check: SelfCheck, run: Path) -> str:
    last = read_lines(run / "metrics.jsonl")[-1]
    figures = f"loss {last['loss']:.2g}, {last['bit_accuracy']:.2%} of the bits right"
    return f"train   {check.steps} steps on one clip of {check.num_frames} frames of {check.size}: {figures}"


def _sample(recipe: Recipe, run: Path) -> Sample:
    """The clip as training reads it."""
    manifests = open_manifests(recipe, str(run / DATA), [CLIP])
    return read_samples(manifests[CLIP], open_text(recipe, manifests))[0]


def _compared(pipeline: VideoPipeline, sample: Sample, check: SelfCheck) -> Outcome:
    schedule = ScaleSchedule.named(check.size)
    frames = sample_frames(
        pipeline.model,
        schedule,
        [sample.text],
        Sampling(guidance=Guidance.constant(1.0), temperature=0.0),
        num_frames=latent_frames(check.num_frames),
        window=pipeline.config.window,
        seeds=[0],
    )
    bits = torch.stack([frame.bits[0].cpu() for frame in frames])
    taught = model_tables(pipeline.model, [sample], pipeline.config.window)
    return Outcome(bits != torch.from_numpy(sample.bits), schedule, taught.accuracy.value)


def _pixels(pipeline: VideoPipeline, sample: Sample, check: SelfCheck) -> str:
    """How far the frames of the public call are from the tokenizer's version of the clip."""
    bits = torch.from_numpy(sample.bits)[None].to(pipeline.model.input.weight.device)
    schedule = ScaleSchedule.named(check.size)
    rebuilt = to_frames(pipeline.tokenizer.decode(pipeline.tokenizer.dequantize(bits, schedule)))[0]
    request = Request(prompt=sample.entry.caption, num_frames=check.num_frames, temperature=0.0)
    difference = np.abs(pipeline.batch([request])[0].frames.astype(int) - rebuilt)
    return f"differ by at most {difference.max()} of 255 from the tokenizer's version of the clip"
