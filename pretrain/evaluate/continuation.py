"""How close a continuation is to the true future: PSNR by frame, compared with repeating the last given frame.

Many futures are plausible, but only one is true: this measures drift at short range, not quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, UInt8

from videoar.pretrain.evaluate.intervals import Interval, ratio_interval
from videoar.pretrain.generate.pipeline import Request, VideoPipeline
from videoar.pretrain.generate.result import Video
from videoar.pretrain.generate.video import to_frames, to_tensor
from videoar.tokenizer.evaluation.evaluate import through_bits

ClipFrames = UInt8[np.ndarray, "f h w 3"]

ROUNDING_ERROR = 1 / 12
"""Mean squared error of rounding to bytes: it limits PSNR to 58.9 dB, so that a still picture does not score infinity.
"""


@runtime_checkable
class Generator(Protocol):
    """Makes videos from requests, several at once: a `VideoPipeline`, or what it is compared with."""

    def batch(self, requests: Sequence[Request]) -> list[Video]:
        """A video for each request; they have one size and length."""
        ...


@dataclass(frozen=True, slots=True)
class ContinuationReport:
    """PSNR in dB of every clip's future frames."""

    generated: Float64[np.ndarray, "n f"]
    repeated: Float64[np.ndarray, "n f"]
    """PSNR of the last given frame, repeated."""
    rebuilt: Float64[np.ndarray, "n f"]
    """PSNR of the true future through the tokenizer: what a perfect model would reach."""
    repeated_rebuilt: Float64[np.ndarray, "n f"]
    """PSNR of the last given frame through the tokenizer, repeated: what a model without motion would reach."""

    def to_dict(self) -> dict[str, Any]:
        """Means over clips with intervals, by frame and over all; plain values for a report."""
        psnr = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"num_clips": len(self.generated), **psnr_report(psnr)}


def psnr_report(psnr: Mapping[str, Float64[np.ndarray, "n f"]]) -> dict[str, Any]:
    """Means over clips with intervals, by frame and over all, and the gains over the repeated frame."""
    found = dict(psnr)
    for name in ("repeated", "repeated_rebuilt"):
        if name in psnr:
            found[f"gain_over_{name}"] = psnr["generated"] - psnr[name]
    return {
        name: {"by_frame": mean(values).to_dict(), "overall": mean(values.mean(1)).to_dict()}
        for name, values in found.items()
    }


def evaluate_continuation(
    pipeline: VideoPipeline, clips: Sequence[ClipFrames], given_frames: int, requests: Sequence[Request], batch: int = 4
) -> ContinuationReport:
    """Continue the first `given_frames` of each clip to its full length and compare it with the true frames.

    Clips are of the request's frame size and of equal length; a request gives its clip's condition and the sampling.
    """
    made = continue_clips(pipeline, clips, given_frames, requests, batch)
    return compare(made, clips, [rebuild(pipeline, clip) for clip in clips], given_frames)


def make_clips(generator: Generator, requests: Sequence[Request], batch: int) -> list[ClipFrames]:
    """The video of each request, `batch` at a time."""
    made: list[ClipFrames] = []
    for start in range(0, len(requests), batch):
        made += [video.frames for video in generator.batch(requests[start : start + batch])]
    return made


def continue_clips(
    generator: Generator, clips: Sequence[ClipFrames], given_frames: int, requests: Sequence[Request], batch: int = 4
) -> list[ClipFrames]:
    """Continue the first `given_frames` of each clip to its full length; the result starts with the given frames."""
    asked = [
        replace(request, video=clip[:given_frames], image=None, given_frames=None, num_frames=len(clip))
        for clip, request in zip(clips, requests, strict=True)
    ]
    return make_clips(generator, asked, batch)


def compare(
    made: Sequence[ClipFrames], clips: Sequence[ClipFrames], through: Sequence[ClipFrames], given_frames: int
) -> ContinuationReport:
    """PSNR of the frames after the given ones; `through` are the clips encoded and decoded by the tokenizer."""
    future = [clip[given_frames:] for clip in clips]
    still, still_rebuilt = (
        [np.broadcast_to(clip[given_frames - 1], clip[given_frames:].shape) for clip in kind]
        for kind in (clips, through)
    )
    guesses = ([clip[given_frames:] for clip in made], still, [clip[given_frames:] for clip in through], still_rebuilt)
    return ContinuationReport(
        *(np.stack([psnr(a, b) for a, b in zip(guess, future, strict=True)]) for guess in guesses)
    )


def rebuild(pipeline: VideoPipeline, clip: ClipFrames) -> ClipFrames:
    """The clip encoded, quantised and decoded by the tokenizer."""
    video = to_tensor(clip).to(pipeline.model.input.weight.device)
    return to_frames(through_bits(pipeline.tokenizer, video).decoded)[0]


def psnr(frames: ClipFrames, others: ClipFrames) -> Float64[np.ndarray, " f"]:
    """10 log10(255^2 / mean squared error) of each frame, in dB."""
    error = ((frames.astype(np.float64) - others) ** 2).mean((1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, ROUNDING_ERROR))


def slopes(psnr: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
    """Least-squares slope of each clip's PSNR over its frames, in dB per frame."""
    frames = np.arange(psnr.shape[1]) - (psnr.shape[1] - 1) / 2
    return psnr @ frames / (frames @ frames)


def mean(values: Float64[np.ndarray, "n ..."]) -> Interval:
    """Mean over clips."""
    return ratio_interval(values, np.ones_like(values))
