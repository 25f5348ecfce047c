"""How a continuation keeps to the true future: PSNR by frame, beside repeating the last given frame.

One future is judged, and a good model has many: this is a measure of drift at short range, not of quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.pretrain.evaluate.intervals import Interval, ratio_interval
from videoar.pretrain.evaluate.reconstruction import Clip, psnr, rebuild
from videoar.pretrain.generate.pipeline import Request, VideoPipeline


@dataclass(frozen=True, slots=True)
class ContinuationReport:
    """PSNR in dB of every clip's future frames."""

    generated: Float64[np.ndarray, "n f"]
    repeated: Float64[np.ndarray, "n f"]
    """The last given frame, as it was given, for every future frame."""
    rebuilt: Float64[np.ndarray, "n f"]
    """The true future through the tokenizer: what a perfect model would reach."""

    def to_dict(self) -> dict[str, Any]:
        """Means over clips with intervals, by frame and over all; plain values for a report."""
        report: dict[str, Any] = {"num_clips": len(self.generated)}
        for name in ("generated", "repeated", "rebuilt"):
            values = getattr(self, name)
            report[name] = {"by_frame": mean(values).to_dict(), "overall": mean(values.mean(1)).to_dict()}
        gain = self.generated - self.repeated
        report["gain_over_repeated"] = {"by_frame": mean(gain).to_dict(), "overall": mean(gain.mean(1)).to_dict()}
        return report


def evaluate_continuation(
    pipeline: VideoPipeline, clips: Sequence[Clip], given_frames: int, requests: Sequence[Request], batch: int = 4
) -> ContinuationReport:
    """Continue the first `given_frames` of each clip to its full length and compare with what came.

    Clips are of the request's frame size and of equal length; a request gives its clip's condition and the sampling.
    """
    asked = [
        replace(request, video=clip[:given_frames], image=None, given_frames=None, num_frames=len(clip))
        for clip, request in zip(clips, requests, strict=True)
    ]
    found = [
        video.frames[given_frames:]
        for start in range(0, len(asked), batch)
        for video in pipeline.batch(asked[start : start + batch])
    ]
    future = [clip[given_frames:] for clip in clips]
    still = [np.broadcast_to(clip[given_frames - 1], clip[given_frames:].shape) for clip in clips]
    rebuilt = [rebuild(pipeline.tokenizer, clip)[given_frames:] for clip in clips]
    return ContinuationReport(
        *(np.stack([psnr(a, b) for a, b in zip(guess, future, strict=True)]) for guess in (found, still, rebuilt))
    )


def mean(values: Float64[np.ndarray, "n ..."]) -> Interval:
    """Mean over clips."""
    return ratio_interval(values, np.ones_like(values))
