"""Measures how well a tokenizer reconstructs clips, in one row for each clip: rows can be kept, shared and added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from videoar.data_pipeline.encoding.footage import ChosenClips, FootageReader, clip_name
from videoar.pretrain.evaluate.fvd.fvd import FvdResult
from videoar.pretrain.evaluate.fvd.reconstructions import ReconstructionDistance
from videoar.pretrain.evaluate.intervals import Interval, ratio_interval
from videoar.pretrain.evaluate.kept import KeptRows, Measured, OnDone, Row
from videoar.pretrain.evaluate.robustness.clips import GROUP
from videoar.pretrain.generate.video import to_frames, to_tensor
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.evaluation.evaluate import Distance, Evaluation, Evaluator, Reconstruction, through_bits
from videoar.tokenizer.scales import ScaleSchedule

ClipFrames = UInt8[np.ndarray, "f h w 3"]
MEASURES = {"psnr_db": "psnr", "ssim": "ssim_by_frame", "psnr_of_motion_db": "psnr_of_motion", "lpips": "lpips"}
"""Figures that have one number for each clip, with the names of the sums whose mean they are."""


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """Clips of one shape, and what is measured between each and its reconstruction."""

    tokenizer: VideoTokenizer
    clips: ChosenClips
    schedule: ScaleSchedule
    by_scale: bool = True
    """Whether PSNR is measured after each scale."""
    lpips: Distance | None = None
    distance: ReconstructionDistance | None = None
    """Distance between the set of clips and the set of reconstructions, from features of each clip."""

    @property
    def states(self) -> list[str]:
        """For each clip its source, and a value that changes when its pixels change."""
        return [f"{clip_name(clip)} {clip.etag}" for clip in self.clips.clips]

    @property
    def num_groups(self) -> int:
        """Groups of clips whose rows are kept together."""
        return -(-len(self.clips) // GROUP)

    def measured(self, kept: KeptRows, on_done: OnDone) -> Measured:
        """A row, with the clip's source, for each clip of the part that can be read."""
        with self.clips.reader() as reader:
            return kept.of("clips", range(len(self.clips)), GROUP, lambda some: self._of_group(reader, some), on_done)

    @torch.inference_mode()
    def _of_group(self, reader: FootageReader, numbers: Sequence[int]) -> Measured:
        rows, left_out = list[Row](), list[list[str]]()
        for footage in reader.read([self.clips.clips[number] for number in numbers]):
            if footage.frames is None:
                left_out.append([footage.clip.path, footage.reason])
            else:
                rows.append({"key": clip_name(footage.clip), **self._row(footage.frames)})
        return Measured(rows, left_out)

    def _row(self, frames: ClipFrames) -> Row:
        evaluator = self._evaluator()
        made = evaluator.add(self._tensor(frames))
        if self.distance is None:
            return {"sums": evaluator.sums}
        features = self.distance.features(frames[None], to_frames(made.decoded))
        return {"sums": evaluator.sums, "features": [of_one[0].tolist() for of_one in features]}

    def figures(self, rows: Sequence[Row]) -> tuple[Evaluation, FvdResult | None]:
        """Figures over all clips, and the distance if it was asked for. InputError if there are no clips, or too few
        for it."""
        evaluator = self._evaluator()
        for row in rows:
            evaluator.take(row["sums"], self.schedule)
            if self.distance is not None:
                self.distance.take(*(np.array([of_one]) for of_one in row["features"]))
        return evaluator.result, self.distance.result if self.distance is not None else None

    def intervals(self, rows: Sequence[Row]) -> dict[str, Interval]:
        """Those figures of `MEASURES` that were measured, with intervals over the clips."""
        sums = [row["sums"]["measures"] for row in rows]
        measured = {figure: name for figure, name in MEASURES.items() if name in sums[0]}
        of_clips = {figure: np.array([np.mean(of_one[name]) for of_one in sums]) for figure, name in measured.items()}
        return {figure: ratio_interval(values, np.ones(len(values))) for figure, values in of_clips.items()}

    @torch.inference_mode()
    def examples(self, numbers: Sequence[int]) -> Iterator[tuple[ClipFrames, Reconstruction]]:
        """Some of the clips, by number, with their reconstructions; without those that cannot be read."""
        with self.clips.reader() as reader:
            for footage in reader.read([self.clips.clips[number] for number in numbers]):
                if footage.frames is not None:
                    yield footage.frames, through_bits(self.tokenizer, self._tensor(footage.frames))

    def _evaluator(self) -> Evaluator:
        return Evaluator(self.tokenizer, by_scale=self.by_scale, lpips=self.lpips)

    def _tensor(self, frames: ClipFrames) -> torch.Tensor:
        return to_tensor(frames).to(next(self.tokenizer.parameters()).device)
