"""What a tokenizer is, and how one is trained: frozen dataclasses that a recipe composes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError

MAX_FPS = 240
"""Frames a second that a clip may be sampled at: what films have, and a bound for how many clips a second gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """The causal 3-D autoencoder (VideoAR §4.1): Infinity's image tokenizer widened in time."""

    base_channels: int = 128
    """Channels of the first level."""
    multipliers: tuple[int, ...] = (1, 2, 4, 4, 4)
    """Channels of each level, as multiples of base_channels; five levels give the spatial stride of 16."""
    encoder_blocks: int = 2
    """Residual blocks a level in the encoder."""
    decoder_blocks: int = 3
    """Residual blocks a level in the decoder."""
    latent_dim: int = 48
    """Width k of the latent: bits a token."""
    temporal_kernel: int = 3
    """Frames a convolution spans; 1 is the image tokenizer (no temporal weights, one frame at a time)."""
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
        if self.latent_dim < 8 or self.latent_dim % 8:
            raise InputError(
                "tokenizer.latent_dim", self.latent_dim, "does not fill whole bytes", "use a multiple of 8"
            )
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
    """Folder written by `videoar tokenizer train`, or `demo`, which ships; empty: the untrained preset below."""
    preset: str = "tiny"
    """Name of a preset (see videoar.tokenizer.presets), used when path is empty."""
    latent_dim: int = 48
    """Bits a token of the untrained preset."""
    seed: int = 0
    """Seed of the untrained preset's weights."""

    def __post_init__(self) -> None:
        refuse_credentials("tokenizer.path", self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerLossConfig:
    """Weights of Eq. 4. The paper gives none: these are those of the tokenizer it starts from (BitVAE's scripts)."""

    reconstruction: float = 1.0
    """L1 between video and reconstruction."""
    gradient: float = 0.0
    """L1 between their differences of neighbouring pixels: edges, where no perceptual network is at hand."""
    commitment: float = 0.25
    """Pull of the encoder towards its codes."""
    entropy: float = 0.001
    """Entropy penalty: bits decided for each sample, diverse over the batch."""
    quantizer: float = 4.0
    """Multiplies commitment and entropy together."""
    scale_dropout: float = 0.5
    """Probability that a scale but the last adds nothing in a training step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBucket:
    """Clips of one shape: what a tokenizer trains on, or what a shard holds."""

    schedule: str
    """Scale schedule by name, which is also the frame size: "HxW" in pixels."""
    num_frames: int
    """Pixel frames a clip, 1 + 4n; 1 is an image."""
    fps: float = 8.0
    """Frames a second that the clip is sampled at."""

    def __post_init__(self) -> None:
        if not 0 < self.fps <= MAX_FPS or self.num_frames < 1:
            raise InputError(
                "bucket.fps",
                (self.fps, self.num_frames),
                "(fps, num_frames) is no frame rate or no length",
                f"use more than 0 and at most {MAX_FPS} frames a second, and 1 + 4n frames",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerTrainConfig:
    """One run of tokenizer training: L1, commitment and entropy terms of Eq. 4."""

    buckets: tuple[ClipBucket, ...]
    """Clip shapes; each step draws one bucket, in turn."""
    steps: int
    batch_size: int
    """Clips a step."""
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    final_fraction: float = 1.0
    """Of the learning rate, at the last step, by a cosine; 1 keeps it constant."""
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    loss: TokenizerLossConfig = field(default_factory=TokenizerLossConfig)
    precision: Literal["float32", "bf16"] = "float32"
    """Of the autoencoder's arithmetic (autocast); weights, quantiser and losses are float32 either way."""
    seed: int = 0
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints."""
    inflate_from: str = ""
    """Folder of an image tokenizer whose weights fill the temporally last slices (VideoAR §4.1); empty: random."""
