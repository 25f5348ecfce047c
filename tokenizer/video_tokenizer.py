"""VideoTokenizer: video to bits and back, whole or as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_value
from videoar.cluster.ground.fields.limits import OneOrMore
from videoar.cluster.ground.fields.serialize import to_dict
from videoar.tokenizer import residual
from videoar.tokenizer.autoencoder import Decoder, Encoder
from videoar.tokenizer.causal_conv import Memory
from videoar.tokenizer.config import TokenizerConfig, TokenizerSource
from videoar.tokenizer.files import (
    CONFIG,
    find_weights,
    kept_bits,
    load_weights,
    read_config,
    save_weights,
    untrained_warning,
    was_trained,
)
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.scales import FRAMES_PER_LATENT, PIXELS_PER_CELL, ScaleSchedule, latent_frames

ADDED_FIELDS = {"temporal_layers": "all"}
"""Fields younger than the first shards, with the value they had before: left out of the hash that shards carry."""

LATENTS_PER_CALL = 2
"""Latents of a stream that are computed at once; on a CPU, fewer or more are slower (`videoar bench tokenizer`)."""


class VideoTokenizer(nn.Module):
    """A causal video autoencoder with a binary, multi-scale quantiser for each latent frame (VideoAR §4.1)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.is_trained = True
        self.bits_of = ""  # hash of the tokenizer whose encoder this one has, if only the decoder was trained on
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @staticmethod
    def preset(name: str, latent_dim: int | None = None, seed: int = 0) -> VideoTokenizer:
        """An untrained tokenizer of a named size (videoar.tokenizer.presets), with weights from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tokenizer = VideoTokenizer(preset_config(name, latent_dim)).eval()
        tokenizer.is_trained = False
        return tokenizer

    @staticmethod
    def from_pretrained(folder: str | Path) -> VideoTokenizer:
        """The tokenizer that `save` wrote, in float32 regardless of its precision on disk.

        `folder` may also be the name of weights that ship with the package: `demo`.
        """
        folder = find_weights(folder)
        with torch.device("meta"):
            tokenizer = VideoTokenizer(read_config(folder))
        load_weights(tokenizer, folder)
        tokenizer.is_trained, tokenizer.bits_of = was_trained(folder), kept_bits(folder)
        return tokenizer.eval()

    def save(self, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """Write config.json and model.safetensors; float16 halves the file and is read back as float32."""
        same = all(torch.equal(weight, weight.to(dtype).to(weight.dtype)) for weight in self.encoder.parameters())
        bits_of = self.bits_of if same else ""  # a rounded encoder makes other bits
        save_weights(self, self.config, Path(folder), dtype, is_trained=self.is_trained, bits_of=bits_of)

    @property
    def warning(self) -> str:
        """A warning for the user if the weights are random; empty otherwise."""
        return untrained_warning(is_trained=self.is_trained)

    @property
    def hash(self) -> str:
        """Sixteen hex digits by which shards and generators name the tokenizer of their bits: `weights_hash`, or if
        only the decoder was trained further, the hash of the tokenizer that the encoder is from."""
        return self.bits_of or self.weights_hash

    @property
    def weights_hash(self) -> str:
        """Sixteen hex digits of the present configuration and weights, encoder and decoder."""
        described = {name: value for name, value in to_dict(self.config).items() if ADDED_FIELDS.get(name) != value}
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def forward(
        self, video: Float[Tensor, "b 3 f h w"], schedule: ScaleSchedule, kept: Bool[Tensor, "b s"]
    ) -> tuple[Float[Tensor, "b 3 f h w"], list[Float32[Tensor, "n _tokens k"]]]:
        """The training pass: the reconstruction through the scales `kept` for each clip, and what each scale quantised.

        Differentiable (straight through the quantiser) and not clamped; `n` counts the latent frames of all clips.
        """
        latent = self.encoder(video)
        frames = rearrange(latent, "b k t h w -> (b t) k h w")
        total, seen = residual.quantize_training(frames, schedule, kept.repeat_interleave(latent.shape[2], dim=0))
        return self.decoder(rearrange(total, "(b t) k h w -> b k t h w", b=video.shape[0])), seen

    @torch.no_grad()
    def encode(self, video: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, "b k t h_16 w_16"]:
        """The latent of clips with values in [-1, 1], before quantisation."""
        self._check_video(video)
        latent_frames(video.shape[2])
        return self.encoder(_in_fast_order(video)).float()

    @torch.no_grad()
    def decode(self, latent: Float[Tensor, "b k t h w"]) -> Float32[Tensor, "b 3 f h_16 w_16"]:
        """The video of a (quantised) latent, in [-1, 1]."""
        self._check_latent(latent)
        return self.decoder(_in_fast_order(latent)).float().clamp(-1, 1)

    def quantize(self, latent: Float[Tensor, "b k t h w"], schedule: ScaleSchedule) -> Bool[Tensor, "b t tokens k"]:
        """The bits of every latent frame: scales coarse to fine, row-major inside a scale."""
        if tuple(latent.shape[-2:]) != schedule.grid:
            height, width = (PIXELS_PER_CELL * side for side in latent.shape[-2:])
            raise InputError(
                "schedule",
                schedule.name,
                f"ends in grid {schedule.grid}, the latent is {tuple(latent.shape[-2:])}",
                f"use the schedule of the video's size, {height}x{width}",
            )
        frames = rearrange(latent, "b k t h w -> (b t) k h w")
        return residual.quantize_residual(frames, schedule).unflatten(0, (latent.shape[0], -1))

    def dequantize(self, bits: Bool[Tensor, "b t tokens k"], schedule: ScaleSchedule) -> Float32[Tensor, "b k t h w"]:
        """The quantised latent: the sum over scales of the up-sampled codes."""
        if bits.shape[2] != schedule.tokens_per_frame or bits.shape[3] != self.config.latent_dim:
            raise InputError(
                "schedule",
                schedule.name,
                f"has {schedule.tokens_per_frame} tokens per frame of {self.config.latent_dim} bits, but the bits are "
                f"{tuple(bits.shape)}",
                "use the schedule and tokenizer that the bits were made with",
            )
        frames = residual.accumulate(rearrange(bits, "b t l k -> (b t) l k"), schedule)
        return rearrange(frames, "(b t) k h w -> b k t h w", b=bits.shape[0])

    def encode_stream(
        self, chunks: Iterable[Float[Tensor, "b 3 _f h w"]], latents_per_call: int = LATENTS_PER_CALL
    ) -> Iterator[Float32[Tensor, "b k _t h_16 w_16"]]:
        """`encode` of a video that arrives in chunks of any lengths: the same latents, each as soon as possible.

        At most `latents_per_call` latents are computed at once, so memory does not grow with the length of the video or
        of a chunk. The video must end after 1 + 4n frames.
        """
        memory: Memory = {}
        for group in _regroup(chunks, FRAMES_PER_LATENT, latents_per_call):
            self._check_video(group)
            with torch.no_grad():
                latent = self.encoder(_in_fast_order(group), memory).float()
            yield latent

    def decode_stream(
        self, latents: Iterable[Float[Tensor, "b k _t h w"]], latents_per_call: int = LATENTS_PER_CALL
    ) -> Iterator[Float32[Tensor, "b 3 _f h_16 w_16"]]:
        """`decode` of latents that arrive in chunks of any lengths: the same frames, in memory that does not grow."""
        memory: Memory = {}
        at_once = latents_per_call if self.config.temporal_kernel > 1 else 1
        for group in _regroup(latents, 1, at_once):
            self._check_latent(group)
            with torch.no_grad():
                video = self.decoder(_in_fast_order(group), memory).float().clamp(-1, 1)
            yield video

    def _check_video(self, video: Tensor) -> None:
        height, width = video.shape[-2:]
        if height % PIXELS_PER_CELL or width % PIXELS_PER_CELL or not height * width:
            raise InputError(
                "video",
                f"{height}x{width}",
                f"is not a multiple of {PIXELS_PER_CELL} pixels each way",
                "resize or crop it to a size with a scale schedule",
            )
        self._check_frames("video", video.shape[2])

    def _check_latent(self, latent: Tensor) -> None:
        if latent.shape[1] != self.config.latent_dim:
            raise InputError(
                "latent",
                tuple(latent.shape),
                f"has {latent.shape[1]} channels and the tokenizer {self.config.latent_dim}",
                "decode with the tokenizer that encoded it",
            )
        self._check_frames("latent", latent.shape[2])

    def _check_frames(self, field: str, frames: int) -> None:
        if self.config.temporal_kernel == 1 and frames != 1:
            raise InputError(
                field,
                f"{frames} frames",
                "does not fit an image tokenizer, which has no temporal weights",
                "pass one frame at a time, or inflate the tokenizer",
            )


def _in_fast_order(x: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b c f h w"]:
    """Channels last on a CPU, where that is up to a third faster (`videoar bench tokenizer`); elsewhere as it is."""
    return x.contiguous(memory_format=torch.channels_last_3d) if x.device.type == "cpu" else x


def open_tokenizer(
    source: TokenizerSource,
    *,
    field: str = "data.tokenizer.path",
    remedy: str = "give one that `videoar tokenizer train` or `import` wrote: --data.tokenizer.path DIR",
) -> VideoTokenizer:
    """The tokenizer of a source: saved weights, or an untrained preset.

    InputError, which names `field`, if the folder is not a tokenizer's. Its remedy names the weights inside if it is
    the folder of a run; otherwise it is `remedy`.
    """
    if source.path:
        if not (find_weights(source.path) / CONFIG).is_file():
            inside = Path(source.path) / "tokenizer"
            remedy = f"give the one in it: {inside}" if (inside / CONFIG).is_file() else remedy
            raise InputError(field, source.path, "is not the folder of a tokenizer", remedy)
        return VideoTokenizer.from_pretrained(source.path)
    return VideoTokenizer.preset(source.preset, source.latent_dim, source.seed)


def _regroup(
    chunks: Iterable[Float[Tensor, "b c _f h w"]], frames_per_latent: int, latents_per_call: int
) -> Iterator[Float[Tensor, "b c _g h w"]]:
    """The first frame, then frames of whole latents as they arrive, at most `latents_per_call` latents at a time."""
    check_value(OneOrMore, latents_per_call, "latents_per_call")
    waiting: Tensor | None = None
    is_first = True
    for chunk in chunks:
        waiting = torch.cat([waiting, chunk], dim=2) if waiting is not None and waiting.shape[2] else chunk
        while ready := _ready(waiting.shape[2], is_first, frames_per_latent, latents_per_call):
            yield waiting[:, :, :ready]
            waiting, is_first = waiting[:, :, ready:], False
    left_over = 0 if waiting is None else waiting.shape[2]
    if left_over:
        raise InputError(
            "video", f"{left_over} frames remaining", "does not have 1 + 4n frames", f"drop the last {left_over}"
        )


def _ready(frames: int, is_first: bool, frames_per_latent: int, latents_per_call: int) -> int:
    """How many of the waiting frames are computed next: an image, or whole latents; 0 if there are too few."""
    return min(frames, 1) if is_first else min(frames // frames_per_latent, latents_per_call) * frames_per_latent
