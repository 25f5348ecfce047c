"""How the demo's model does on clips that it has not seen: figures beside baselines, and videos to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.report import Judged, Row
from videoar.configs.demo import GIVEN, HeldOut
from videoar.data_pipeline.config import DatasetConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.footage import Footage, FootageReader
from videoar.data_pipeline.manifest import open_manifest
from videoar.data_pipeline.plan import plan_clips
from videoar.pretrain.config import Recipe
from videoar.pretrain.evaluate.bits import evaluate_bits, read_samples
from videoar.pretrain.evaluate.continuation import evaluate_continuation, psnr, rebuild
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.video import save_mp4
from videoar.pretrain.model.videoar import text_tokens
from videoar.tokenizer.scales import ScaleSchedule

Clip = UInt8[np.ndarray, "f h w 3"]

SAMPLINGS = {"likelier bits": 0.0, "sampled bits": 1.0}
"""Temperature of each way of sampling; guidance is off, so that the figures are the model's own."""

SHOWN = 3
"""Clips of a kind that are shown."""

SLOWDOWN = 2
"""Videos play at this fraction of their speed: half a second is over too soon."""

_GAP = 6
_ZOOM = 2
_GREY, _BLUE = (127, 127, 127), (58, 124, 222)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Videos of the page, by section."""

    rows: dict[str, tuple[Row, ...]]


def judge(recipe: Recipe, pipeline: VideoPipeline, data: Path, group: HeldOut) -> Judged:
    """Bits and continuations of one kind of held-out clips, beside what needs no model."""
    text = text_tokens(recipe.model.text)
    held, trained = (open_manifest(str(data / name)) for name in (group.dataset, group.trained))
    bits = evaluate_bits(pipeline.model, read_samples(held, text), read_samples(trained, text), pipeline.config.window)
    dataset = _dataset(recipe, group.dataset)
    clips = read_clips(dataset)
    frames = [clip.frames for clip in clips if clip.frames is not None]
    continuations = {
        name: evaluate_continuation(pipeline, frames, GIVEN, _requests(clips, dataset, temperature)).to_dict()
        for name, temperature in SAMPLINGS.items()
    }
    return Judged(
        title=group.title,
        about=group.about,
        scales=tuple(f"{h}x{w}" for h, w in ScaleSchedule.named(dataset.bucket.schedule).grids),
        bits=bits.to_dict(),
        continuations=continuations,
        given_frames=GIVEN,
        num_frames=dataset.bucket.num_frames,
        fps=dataset.bucket.fps,
    )


def show(recipe: Recipe, pipeline: VideoPipeline, groups: Sequence[HeldOut], folder: Path) -> Shown:
    """A few clips of every kind: continued, animated from their first frame, and through the tokenizer."""
    rows: dict[str, list[Row]] = {"continued": [], "animated": [], "reconstructed": []}
    for group in groups:
        dataset = _dataset(recipe, group.dataset)
        clips = one_of_each(read_clips(dataset))
        for section, given in (("continued", GIVEN), ("animated", 1)):
            rows[section] += _generated(pipeline, dataset, clips, given, folder / section)
        rows["reconstructed"] += _reconstructed(pipeline, dataset, clips, folder / "reconstructed")
    return Shown(rows={section: tuple(found) for section, found in rows.items()})


def read_clips(dataset: DatasetConfig) -> list[Footage]:
    """The pixels of a dataset's clips; those that cannot be decoded are left out."""
    limits = DecodeLimits()
    clips, _ = plan_clips(dataset, limits)
    with FootageReader(dataset.source, dataset.bucket, limits, processes=1) as reader:
        return [footage for footage in reader.read(clips) if footage.frames is not None]


def one_of_each(clips: Sequence[Footage]) -> list[Footage]:
    """The middle clip of each source, of a few sources."""
    by_source: dict[str, list[Footage]] = {}
    for clip in clips:
        by_source.setdefault(clip.clip.path, []).append(clip)
    return [found[len(found) // 2] for found in list(by_source.values())[:SHOWN]]


def side_by_side(panels: Sequence[Clip], made_from: Sequence[int]) -> Clip:
    """Clips of one size as one; under each frame that a model made stands a blue line, under the others a grey one."""
    columns = []
    for clip, first in zip(panels, made_from, strict=True):
        line = np.empty((len(clip), _GAP // 2, clip.shape[2], 3), np.uint8)
        line[:first], line[first:] = _GREY, _BLUE
        columns.append(np.concatenate([clip, line], axis=1))
    gap = np.full((*columns[0].shape[:2], _GAP, 3), _GREY, np.uint8)
    spaced = [part for column in columns for part in (column, gap)][:-1]
    return np.concatenate(spaced, axis=2).repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)


def _generated(
    pipeline: VideoPipeline, dataset: DatasetConfig, clips: Sequence[Footage], given: int, folder: Path
) -> list[Row]:
    made = {
        name: pipeline.batch(_given(clips, dataset, temperature, given)) for name, temperature in SAMPLINGS.items()
    }
    rows = []
    for i, clip in enumerate(clips):
        true = _frames(clip)
        still = np.concatenate([true[:given], true[given - 1 : given].repeat(len(true) - given, axis=0)])
        panels = {"original": true, "last frame repeated": still, "through the tokenizer": rebuild(pipeline, true)}
        panels |= {f"generated, {name}": videos[i].frames for name, videos in made.items()}
        first = [len(true)] * 3 + [given] * len(made)
        rows.append(_row(clip, dataset, panels, first, given, folder))
    return rows


def _reconstructed(
    pipeline: VideoPipeline, dataset: DatasetConfig, clips: Sequence[Footage], folder: Path
) -> list[Row]:
    rows = []
    for clip in clips:
        true = _frames(clip)
        panels = {"original": true, "through the tokenizer": rebuild(pipeline, true)}
        rows.append(_row(clip, dataset, panels, [len(true)] * 2, 0, folder))
    return rows


def _row(
    clip: Footage, dataset: DatasetConfig, panels: dict[str, Clip], made_from: Sequence[int], judged_from: int,
    folder: Path,
) -> Row:  # fmt: skip
    true = panels["original"][judged_from:]
    figures = [f"{psnr(frames[judged_from:], true).mean():.1f} dB" for frames in panels.values()]
    file = folder / f"{clip.clip.key}.mp4"
    save_mp4(side_by_side(list(panels.values()), made_from), file, dataset.bucket.fps / SLOWDOWN)
    return Row(
        title=clip.clip.caption or clip.clip.path, panels=tuple(panels), notes=("", *figures[1:]),
        video=file.read_bytes(),
    )  # fmt: skip


def _requests(clips: Sequence[Footage], dataset: DatasetConfig, temperature: float) -> list[Request]:
    return [
        Request(
            prompt=clip.clip.caption, schedule=dataset.bucket.schedule, num_frames=dataset.bucket.num_frames,
            guidance=1.0, temperature=temperature, seed=seed,
        )
        for seed, clip in enumerate(clips)
    ]  # fmt: skip


def _given(clips: Sequence[Footage], dataset: DatasetConfig, temperature: float, given: int) -> list[Request]:
    requests = _requests(clips, dataset, temperature)
    return [
        replace(request, video=_frames(clip)[:given]) for request, clip in zip(requests, clips, strict=True)
    ]


def _frames(clip: Footage) -> Clip:
    assert clip.frames is not None
    return clip.frames


def _dataset(recipe: Recipe, name: str) -> DatasetConfig:
    return next(dataset for dataset in recipe.data.datasets if dataset.name == name)
