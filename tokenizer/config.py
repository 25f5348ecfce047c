"""Configuration of a tokenizer and of its training: frozen dataclasses that a recipe contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from videoar.cluster.ground.checks import check_fields, wrong_field
from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.limits import (
    BitsPerToken,
    ClipNorm,
    Decay,
    DrawingSeed,
    FramesPerSecond,
    LearningRate,
    Limits,
    OneOrMore,
    PixelFrames,
    Seed,
    Share,
    Weight,
    WeightDecay,
    ZeroOrMore,
)
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """The causal 3-D autoencoder (VideoAR §4.1): Infinity's image tokenizer, extended in time."""

    base_channels: Annotated[int, Limits(1, 8192)] = 128
    """Channels of the first level."""
    multipliers: tuple[Annotated[int, Limits(1, 64)], ...] = (1, 2, 4, 4, 4)
    """Channels of each level, as multiples of base_channels; five levels give the spatial stride of 16."""
    encoder_blocks: Annotated[int, Limits(0, 100)] = 2
    """Residual blocks per level in the encoder."""
    decoder_blocks: Annotated[int, Limits(0, 100)] = 3
    """Residual blocks per level in the decoder."""
    latent_dim: BitsPerToken = 48
    """Width k of the latent: bits per token."""
    temporal_kernel: Annotated[int, Limits(1, 16)] = 3
    """Frames that a convolution spans; 1 gives the image tokenizer (no temporal weights, one frame at a time)."""
    norm_groups: Annotated[int, Limits(1, 8192)] = 32
    """Groups of the group normalisation."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.base_channels * multiplier for multiplier in self.multipliers)

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.multipliers) != 5:
            raise wrong_field(self, "multipliers", "does not give the spatial stride of 16", "name five levels")
        for multiplier in self.multipliers:
            if self.base_channels * multiplier % self.norm_groups:
                raise wrong_field(
                    self,
                    "norm_groups",
                    f"does not divide the {self.base_channels * multiplier} channels of a level",
                    "use a divisor of base_channels",
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerSource:
    """Which tokenizer a job uses: saved weights, or an untrained preset with a seed."""

    path: str = ""
    """Folder written by `videoar tokenizer train`, or `demo`, which is in the package; empty: an untrained preset."""
    preset: str = "tiny"
    """Name of a preset (see videoar.tokenizer.presets), used when path is empty."""
    latent_dim: BitsPerToken = 48
    """Bits per token of the untrained preset."""
    seed: Seed = 0
    """Seed of the untrained preset's weights."""

    def __post_init__(self) -> None:
        check_fields(self)
        refuse_credentials("path", self.path)


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
class ClipBucket:
    """Clips of one shape: what a tokenizer trains on, or what a shard holds."""

    schedule: str
    """Scale schedule by name, which is also the frame size: "HxW" in pixels."""
    num_frames: PixelFrames
    """Pixel frames per clip, 1 + 4n; 1 is an image."""
    fps: FramesPerSecond = 8.0
    """Frames per second that the clip is sampled at."""

    def __post_init__(self) -> None:
        check_fields(self)
        ScaleSchedule.named(self.schedule)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerTrainConfig:
    """One run of tokenizer training: L1, commitment and entropy terms of Eq. 4."""

    buckets: tuple[ClipBucket, ...]
    """Clip shapes; steps use them in turn, one per step."""
    steps: OneOrMore
    """Number of updates in the whole run."""
    batch_size: Annotated[int, Limits(1, 1_000_000)]
    """Clips per step."""
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
