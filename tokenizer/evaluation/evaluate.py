"""Measures how well a tokenizer reconstructs, and how much information its bits carry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.evaluation.bit_usage import BitCounter, BitUsage
from videoar.tokenizer.evaluation.quality import frame_psnr, frame_ssim, motion_psnr, psnr
from videoar.tokenizer.residual import partial_sums
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.video_tokenizer import VideoTokenizer

PROTOCOL_VERSION = 1
"""Raised whenever a change here changes a figure."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The result of encoding clips of one shape to bits and decoding these bits."""

    video: Float[Tensor, "b 3 f h w"]
    decoded: Float32[Tensor, "b 3 f h w"]
    bits: Bool[Tensor, "b t tokens k"]
    schedule: ScaleSchedule


@runtime_checkable
class Distance(Protocol):
    """A further distance between clips and their reconstructions: one number for each clip."""

    def __call__(
        self, video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]
    ) -> Float[Tensor, " b"]: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over clips."""

    num_clips: int
    psnr_db: float
    """PSNR of a clip, from the mean squared error of all its frames."""
    ssim: float
    psnr_by_frame_db: tuple[float, ...]
    """PSNR of a frame, by its position in the clip."""
    ssim_by_frame: tuple[float, ...]
    """SSIM by position."""
    psnr_of_motion_db: float | None
    """PSNR of the changes from frame to frame, which flicker lowers; None for images."""
    psnr_by_scale_db: tuple[float, ...] | None
    """PSNR after each scale, coarse to fine, if requested: the video is decoded from this scale and the scales before
    it. Scale dropout trains a tokenizer for this."""
    lpips: float | None
    """Perceptual distance, if its weights were given."""
    bit_entropy: tuple[float, ...]
    """Entropy of a bit at each scale, averaged over the k bits; 1 if each is a fair coin, 0 if all are constant."""
    entropy_histogram: tuple[int, ...]
    """Number of bits whose entropy (with the scale known) is in [0, 0.1), ... [0.9, 1]."""
    lively_bits: float
    """Share of bits with an entropy above 0.9."""
    dead_bits: float
    """Share of bits that are practically constant: an entropy below 0.1, the first place of the histogram."""
    identical_frames: float
    """Share of latent frames after the first whose bits all equal the previous frame's."""


class Evaluator:
    """Adds up measures over clips of one shape; its memory does not grow with their number."""

    def __init__(self, tokenizer: VideoTokenizer, *, by_scale: bool = True, lpips: Distance | None = None) -> None:
        self._tokenizer, self._by_scale, self._lpips = tokenizer, by_scale, lpips
        self._sums: dict[str, Float64[Tensor, " _n"]] = {}
        self._counter: BitCounter | None = None
        self.num_clips = 0

    @torch.inference_mode()
    def add(self, video: Float[Tensor, "b 3 f h w"]) -> Reconstruction:
        """Encode clips to bits, decode them, and measure both."""
        made = through_bits(self._tokenizer, video)
        self._counter = self._counter or BitCounter(made.schedule)
        self._counter.add(made.bits)
        self._add("psnr", psnr(video, made.decoded)[:, None])
        self._add("psnr_by_frame", frame_psnr(video, made.decoded))
        self._add("ssim_by_frame", frame_ssim(video, made.decoded))
        if video.shape[2] > 1:
            self._add("psnr_of_motion", motion_psnr(video, made.decoded)[:, None])
        if self._by_scale:
            steps = [psnr(video, decoded) for decoded in after_each_scale(self._tokenizer, made)]
            self._add("psnr_by_scale", torch.stack(steps, dim=1))
        if self._lpips is not None:
            self._add("lpips", self._lpips(video, made.decoded)[:, None])
        self.num_clips += len(video)
        return made

    @property
    def sums(self) -> dict[str, Any]:
        """What was added up, as plain values, which JSON keeps digit for digit, for `take`."""
        assert self._counter is not None, "no clip was added"
        of_measures = {name: total.tolist() for name, total in self._sums.items()}
        return {"num_clips": self.num_clips, "measures": of_measures, "bits": self._counter.counts}

    def take(self, sums: Mapping[str, Any], schedule: ScaleSchedule) -> None:
        """Add what another evaluator of the same measures has added up."""
        self._counter = self._counter or BitCounter(schedule)
        self._counter.take(sums["bits"])
        for name, total in sums["measures"].items():
            self._add_total(name, torch.tensor(total, dtype=torch.float64))
        self.num_clips += sums["num_clips"]

    def _add(self, name: str, values: Float[Tensor, "b n"]) -> None:
        self._add_total(name, values.double().sum(dim=0).cpu())

    def _add_total(self, name: str, total: Float64[Tensor, " n"]) -> None:
        self._sums[name] = self._sums[name] + total if name in self._sums else total

    def _means(self, name: str) -> tuple[float, ...] | None:
        return tuple((self._sums[name] / self.num_clips).tolist()) if name in self._sums else None

    def _mean(self, name: str) -> float | None:
        values = self._means(name)
        return None if values is None else sum(values) / len(values)

    @property
    def psnr_db(self) -> float:
        """PSNR so far; 0 before the first clip."""
        return self._mean("psnr") or 0.0

    @property
    def usage(self) -> BitUsage:
        """How often each bit was one."""
        assert self._counter is not None, "no clip was added"
        return self._counter.usage

    @property
    def result(self) -> Evaluation:
        """The means so far. InputError if there was no clip."""
        if self._counter is None:
            raise InputError("clips", 0, "is too few to evaluate", "name a folder with clips of the requested shape")
        usage = self.usage
        return Evaluation(
            num_clips=self.num_clips,
            psnr_db=self.psnr_db,
            ssim=self._mean("ssim_by_frame") or 0.0,
            psnr_by_frame_db=self._means("psnr_by_frame") or (),
            ssim_by_frame=self._means("ssim_by_frame") or (),
            psnr_of_motion_db=self._mean("psnr_of_motion"),
            psnr_by_scale_db=self._means("psnr_by_scale"),
            lpips=self._mean("lpips"),
            bit_entropy=tuple(usage.by_scale.tolist()),
            entropy_histogram=usage.histogram,
            lively_bits=usage.lively,
            dead_bits=usage.dead,
            identical_frames=self._counter.identical_frames,
        )


def evaluate(
    tokenizer: VideoTokenizer, clips: Iterable[Float[Tensor, "b 3 _f h w"]], *, by_scale: bool = True
) -> Evaluation:
    """Encode every clip to bits, decode it, and measure both; all clips have one shape."""
    evaluator = Evaluator(tokenizer, by_scale=by_scale)
    for video in clips:
        evaluator.add(video)
    return evaluator.result


def through_bits(tokenizer: VideoTokenizer, video: Float[Tensor, "b 3 f h w"]) -> Reconstruction:
    """Encode clips to bits, which the generator models, and decode them to the pixels that a viewer sees."""
    schedule = ScaleSchedule.named(f"{video.shape[-2]}x{video.shape[-1]}")
    bits = tokenizer.quantize(tokenizer.encode(video), schedule)
    return Reconstruction(video, tokenizer.decode(tokenizer.dequantize(bits, schedule)), bits, schedule)


def after_each_scale(tokenizer: VideoTokenizer, made: Reconstruction) -> Iterator[Float32[Tensor, "b 3 f h w"]]:
    """The clips decoded from the first scale, from the first two, and so on; the last is the reconstruction."""
    for total in partial_sums(made.bits.flatten(0, 1), made.schedule):
        yield tokenizer.decode(rearrange(total, "(b t) k h w -> b k t h w", b=len(made.bits)))


def reconstruct(
    tokenizer: VideoTokenizer, chunks: Iterable[Float[Tensor, "b 3 _f h w"]], schedule: ScaleSchedule
) -> Iterator[Float32[Tensor, "b 3 _f h w"]]:
    """Encode a streamed video to bits and decode it, in memory that does not grow with its length."""
    latents = tokenizer.encode_stream(chunks)
    quantized = (tokenizer.dequantize(tokenizer.quantize(latent, schedule), schedule) for latent in latents)
    return tokenizer.decode_stream(quantized)


def signature(tokenizer: VideoTokenizer, names: Sequence[str], size: str, num_frames: int, fps: float) -> str:
    """One line that is equal for figures that may be compared; `names` say what each clip was cut from."""
    clips = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return (
        f"rec|weights={tokenizer.weights_hash[:8]}|clips={len(names)}:{clips}|{size}|T{num_frames}|fps{fps:g}"
        f"|v{PROTOCOL_VERSION}"
    )
