"""Configuration of a tokenizer's training: frozen dataclasses that a recipe contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from videoar.cluster.ground.checks import check_fields
from videoar.cluster.ground.limits import (
    ClipNorm,
    Decay,
    DrawingSeed,
    LearningRate,
    Limits,
    OneOrMore,
    Share,
    Weight,
    WeightDecay,
    ZeroOrMore,
)
from videoar.tokenizer.config import ClipBucket


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerLossConfig:
    """Weights of Eq. 4. The paper gives none; the defaults are from the tokenizer it starts from (BitVAE)."""

    reconstruction: Weight = 1.0
    """Weight of L1 between video and reconstruction."""
    gradient: Weight = 0.0
    """Weight of L1 between differences of neighbouring pixels, which keeps edges without a perceptual network."""
    commitment: Weight = 0.25
    """Weight of the commitment term, which pulls the encoder towards its codes."""
    entropy: Weight = 0.001
    """Weight of the entropy penalty: bits clear for each sample, diverse over the batch."""
    quantizer: Weight = 4.0
    """Common factor of the commitment and entropy terms."""
    scale_dropout: Share = 0.5
    """Probability that a scale other than the last is dropped in a training step."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBucket(ClipBucket):
    """Clips of one shape that a tokenizer trains on."""

    batch_size: Annotated[int, Limits(1, 1_000_000)] | None = None
    """Clips per step of this shape, over all processes; `train.batch_size` if null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerTrainConfig:
    """One run of tokenizer training: L1, commitment and entropy terms of Eq. 4."""

    buckets: tuple[TrainingBucket, ...]
    """Clip shapes; steps use them in turn, one per step."""
    steps: OneOrMore
    """Number of updates in the whole run."""
    batch_size: Annotated[int, Limits(1, 1_000_000)]
    """Clips per step, over all processes, of a bucket that names no number of its own."""
    learning_rate: LearningRate = 1e-4
    """Peak learning rate of AdamW."""
    warmup_steps: ZeroOrMore = 0
    """Steps of the linear warm-up."""
    final_fraction: Share = 1.0
    """Learning rate at the last step as a share of the peak, reached by a cosine; 1 keeps it constant."""
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    weight_decay: WeightDecay = 0.01
    """AdamW's weight decay."""
    clip_norm: ClipNorm | None = 1.0
    """Largest gradient norm; longer gradients are scaled down to it; null: gradients are never scaled."""
    loss: TokenizerLossConfig = field(default_factory=TokenizerLossConfig)
    """Weights of the loss terms."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the autoencoder's arithmetic (autocast); weights, quantiser and losses are always float32."""
    seed: DrawingSeed = 0
    """Seed of the initial weights and of the scale dropout."""
    log_every: OneOrMore = 10
    """Steps between two lines of metrics.jsonl."""
    save_every: OneOrMore = 500
    """Steps between two checkpoints."""
    inflate_from: str = ""
    """Folder of an image tokenizer whose weights fill the temporally last slices (VideoAR §4.1); empty: none."""

    def __post_init__(self) -> None:
        check_fields(self)

    def bucket(self, step: int) -> TrainingBucket:
        """The shape of a step's clips: the same in all processes."""
        return self.buckets[step % len(self.buckets)]

    def num_clips(self, step: int) -> int:
        """Clips of a step, over all processes."""
        return self.bucket(step).batch_size or self.batch_size
