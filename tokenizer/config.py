"""Configuration of a tokenizer and of its training: frozen dataclasses that a recipe contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from videoar.cluster.ground.checks import above, at_least, between, multiple_of
from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError

MAX_FPS = 240
"""Highest frame rate that a clip may be sampled at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """The causal 3-D autoencoder (VideoAR §4.1): Infinity's image tokenizer, extended in time."""

    base_channels: int = 128
    """Channels of the first level."""
    multipliers: tuple[int, ...] = (1, 2, 4, 4, 4)
    """Channels of each level, as multiples of base_channels; five levels give the spatial stride of 16."""
    encoder_blocks: int = 2
    """Residual blocks per level in the encoder."""
    decoder_blocks: int = 3
    """Residual blocks per level in the decoder."""
    latent_dim: int = 48
    """Width k of the latent: bits per token."""
    temporal_kernel: int = 3
    """Frames that a convolution spans; 1 gives the image tokenizer (no temporal weights, one frame at a time)."""
    norm_groups: int = 32
    """Groups of the group normalisation."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.base_channels * multiplier for multiplier in self.multipliers)

    def __post_init__(self) -> None:
        if len(self.multipliers) != 5:
            raise InputError(
                "tokenizer.multipliers", self.multipliers, "does not give the spatial stride of 16", "name five levels"
            )
        multiple_of(8, "tokenizer", self, "latent_dim")  # bits are stored in whole bytes
        at_least(1, "tokenizer", self, "base_channels", "temporal_kernel", "norm_groups")
        for multiplier in self.multipliers:
            if self.base_channels * multiplier % self.norm_groups:
                raise InputError(
                    "tokenizer.norm_groups",
                    self.norm_groups,
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
    latent_dim: int = 48
    """Bits per token of the untrained preset."""
    seed: int = 0
    """Seed of the untrained preset's weights."""

    def __post_init__(self) -> None:
        refuse_credentials("tokenizer.path", self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerLossConfig:
    """Weights of Eq. 4. The paper gives none; the defaults are from the tokenizer it starts from (BitVAE)."""

    reconstruction: float = 1.0
    """Weight of L1 between video and reconstruction."""
    gradient: float = 0.0
    """Weight of L1 between differences of neighbouring pixels, which keeps edges without a perceptual network."""
    commitment: float = 0.25
    """Weight of the commitment term, which pulls the encoder towards its codes."""
    entropy: float = 0.001
    """Weight of the entropy penalty: bits clear for each sample, diverse over the batch."""
    quantizer: float = 4.0
    """Common factor of the commitment and entropy terms."""
    scale_dropout: float = 0.5
    """Probability that a scale other than the last is dropped in a training step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBucket:
    """Clips of one shape: what a tokenizer trains on, or what a shard holds."""

    schedule: str
    """Scale schedule by name, which is also the frame size: "HxW" in pixels."""
    num_frames: int
    """Pixel frames per clip, 1 + 4n; 1 is an image."""
    fps: float = 8.0
    """Frames per second that the clip is sampled at."""

    def __post_init__(self) -> None:
        above(0, "bucket", self, "fps")
        between(0, MAX_FPS, "bucket", self, "fps")
        at_least(1, "bucket", self, "num_frames")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerTrainConfig:
    """One run of tokenizer training: L1, commitment and entropy terms of Eq. 4."""

    buckets: tuple[ClipBucket, ...]
    """Clip shapes; steps use them in turn, one per step."""
    steps: int
    """Number of updates in the whole run."""
    batch_size: int
    """Clips per step."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW."""
    warmup_steps: int = 0
    """Steps of the linear warm-up."""
    final_fraction: float = 1.0
    """Learning rate at the last step as a share of the peak, reached by a cosine; 1 keeps it constant."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    clip_norm: float = 1.0
    """Largest gradient norm; longer gradients are scaled down to it."""
    loss: TokenizerLossConfig = field(default_factory=TokenizerLossConfig)
    """Weights of the loss terms."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the autoencoder's arithmetic (autocast); weights, quantiser and losses are always float32."""
    seed: int = 0
    """Seed of the initial weights and of the scale dropout."""
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints."""
    inflate_from: str = ""
    """Folder of an image tokenizer whose weights fill the temporally last slices (VideoAR §4.1); empty: none."""

    def __post_init__(self) -> None:
        at_least(1, "train", self, "steps", "batch_size", "log_every", "save_every")
        at_least(0, "train", self, "learning_rate", "warmup_steps", "weight_decay")
        between(0, 1, "train", self, "final_fraction")
