"""Pictures of a tokenizer in training: the same few clips, reconstructed at an interval.

RUN/samples/step-00001000.png                for each clip a row of frames, and below it its reconstruction
RUN/samples/step-00001000-17x128x128.mp4     the videos of a bucket: originals above, reconstructions below
RUN/samples/step-00001000-bits.png           for each scale (row) and bit (column) how often it is one
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from videoar.data_pipeline.encoding.pictures import contact_sheet, save_png
from videoar.pretrain.generate.video import save_mp4, to_frames
from videoar.pretrain.record.tokenizer_reporter import TokenizerReporter
from videoar.pretrain.run_folder import SAMPLES
from videoar.tokenizer.evaluation.evaluate import Evaluator
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.train import ClipBatches
from videoar.tokenizer.video_tokenizer import VideoTokenizer

HELD_STEP = 1 << 40
"""The clips are those of steps from here on, which no run reaches: drawn as those of training, and never trained on."""

_ZERO, _FAIR, _ONE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
_CELL = 8

log = logging.getLogger(__name__)


class Reconstructions:
    """Call it with (step, tokenizer): it writes the pictures of that step and returns figures."""

    def __init__(
        self,
        clips: ClipBatches,
        recipe: TokenizerTrainConfig,
        run: Path,
        *,
        clips_per_bucket: int = 4,
        reporter: TokenizerReporter | None = None,
    ) -> None:
        """Draws the clips, of the first bucket of every shape, and holds them in memory."""
        self._folder, self._reporter = run / SAMPLES, reporter
        self._held: dict[TrainingBucket, Float[Tensor, "b 3 _f _h _w"]] = {}
        first = HELD_STEP * len(recipe.buckets)  # a step of the first bucket
        for step in range(first, first + len(recipe.buckets)):
            bucket, count = recipe.bucket(step), min(clips_per_bucket, recipe.num_clips(step))
            if (bucket.schedule, bucket.num_frames) not in {(one.schedule, one.num_frames) for one in self._held}:
                self._held[bucket] = clips(step, range(count))

    def __call__(self, step: int, tokenizer: VideoTokenizer) -> dict[str, float]:
        """PSNR, SSIM, the entropy of a bit and the share of dead bits, each the mean over the buckets.

        A picture that cannot be written causes a warning and does not end the training.
        """
        device = next(tokenizer.parameters()).device
        measured = {bucket: _measure(tokenizer, video.to(device)) for bucket, video in self._held.items()}
        try:
            files = self._write(f"step-{step:08d}", measured)
            if self._reporter is not None:
                self._reporter.show(step, files)
        except OSError as error:
            log.warning("no pictures of step %d: %s", step, error)
        found = [_figures(evaluator) for _, _, evaluator in measured.values()]
        return {f"shown_{name}": round(sum(one[name] for one in found) / len(found), 4) for name in found[0]}

    def _write(self, stem: str, measured: Mapping[TrainingBucket, Measured]) -> dict[str, Path]:
        """Write the files of one step; their paths by the name under which they are shown."""
        self._folder.mkdir(parents=True, exist_ok=True)
        rows: list[UInt8[np.ndarray, "_f _h _w 3"]] = []
        usages, files = [], {}
        for bucket, (originals, rebuilt, evaluator) in measured.items():
            rows += [clip for pair in zip(_rows(originals), _rows(rebuilt), strict=True) for clip in pair]
            usages.append(evaluator.usage.frequency)
            if bucket.num_frames > 1:
                name = f"{bucket.num_frames}x{bucket.schedule}"
                path = self._folder / f"{stem}-{name}.mp4"
                files[name] = save_mp4(_film(originals, rebuilt), path, bucket.fps)
        files["frames"] = save_png(contact_sheet(rows), self._folder / f"{stem}.png")
        files["bits"] = save_png(bit_map(usages), self._folder / f"{stem}-bits.png")
        return files


Clips = UInt8[np.ndarray, "b f h w 3"]
Measured = tuple[Clips, Clips, Evaluator]
"""Clips, their reconstructions, and what was measured."""


def _measure(tokenizer: VideoTokenizer, video: Float[Tensor, "b 3 f h w"]) -> Measured:
    """One clip at a time: a training batch may fill the device's memory."""
    evaluator = Evaluator(tokenizer, by_scale=False)
    rebuilt = [to_frames(evaluator.add(clip).decoded) for clip in video.split(1)]
    return to_frames(video), np.concatenate(rebuilt), evaluator


def _figures(evaluator: Evaluator) -> dict[str, float]:
    found, usage = evaluator.result, evaluator.usage
    return {"psnr_db": found.psnr_db, "ssim": found.ssim, "bit_entropy": usage.mean, "dead_bits": usage.dead}


def _rows(clips: Clips) -> Clips:
    """The rows of the picture: a clip each; single pictures next to each other, as if they were one."""
    return clips if clips.shape[1] > 1 else clips.swapaxes(0, 1)


def _film(originals: Clips, rebuilt: Clips) -> UInt8[np.ndarray, "f i j 3"]:
    """All clips next to each other, each with its reconstruction below."""
    return np.concatenate([np.concatenate(list(clips), axis=2) for clips in (originals, rebuilt)], axis=1)


def bit_map(frequencies: Sequence[Float64[Tensor, "_s k"]]) -> UInt8[np.ndarray, "i j 3"]:
    """A cell for each scale (row) and bit (column) of each table: blue if the bit is always zero, red if always one,
    white if it is a fair coin. A dead bit is a column of strong colours."""
    blank = np.full((1, frequencies[0].shape[1], 3), 127, np.uint8)
    rows = [part for table in frequencies for part in (_colours(table), blank)][:-1]
    return np.concatenate(rows).repeat(_CELL, axis=0).repeat(_CELL, axis=1)


def _colours(p: Float64[Tensor, "s k"]) -> UInt8[np.ndarray, "s k 3"]:
    zero, fair, one = (torch.tensor(colour, dtype=torch.float64) for colour in (_ZERO, _FAIR, _ONE))
    away = (2 * p - 1).abs()[..., None]
    mixed = fair * (1 - away) + torch.where(p[..., None] < 0.5, zero, one) * away
    return mixed.round().to(torch.uint8).numpy()
