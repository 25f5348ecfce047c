"""Configuration of a tokenizer: frozen dataclasses that a recipe contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import BitsPerToken, FramesPerSecond, Limits, PixelFrames, Seed
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
    temporal_layers: Literal["all", "resampling"] = "all"
    """Which 3x3 convolutions span several frames: all, or only the temporal resampling and the middle blocks."""
    norm_groups: Annotated[int, Limits(1, 8192)] = 32
    """Groups of the group normalisation."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.base_channels * multiplier for multiplier in self.multipliers)

    @property
    def plain_kernel(self) -> int:
        """Frames that a convolution outside the temporal resampling and the middle blocks spans."""
        return self.temporal_kernel if self.temporal_layers == "all" else 1

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
