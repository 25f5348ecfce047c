"""Evaluates the demo's model on clips that it has not seen: figures compared with baselines, and videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.demo.report import Judged, Row
from videoar.configs.demo import GIVEN, HeldOut
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.encoding.footage import Footage, FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.pretrain.config import Recipe
from videoar.pretrain.evaluate.bits import evaluate_bits, read_samples
from videoar.pretrain.evaluate.continuation import compare, continue_clips, psnr, rebuild
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.panels import side_by_side
from videoar.pretrain.generate.video import save_mp4
from videoar.pretrain.model.vocabulary import text_tokens
from videoar.tokenizer.scales import ScaleSchedule

Clip = UInt8[np.ndarray, "f h w 3"]
Rows = dict[str, tuple[Row, ...]]
"""Videos of the page, by section."""

SAMPLINGS = {"temperature 0.7": 0.7, "temperature 1": 1.0}
"""Temperatures of sampling, by name; guidance is off, so that the figures describe the model alone."""

SHOWN = 3
"""Number of clips of each kind on the page."""

MODEL = "model"
"""Beginning of the headings of versions that a model made."""

SLOWDOWN = 2
"""Videos play this many times slower, because half a second is too short to watch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """Held-out clips of one kind in every version: original, through the tokenizer, and generated."""

    group: HeldOut
    dataset: DatasetConfig
    titles: tuple[str, ...]
    clips: tuple[Clip, ...]
    through: tuple[Clip, ...]
    """The clips decoded from their bits."""
    shown: tuple[int, ...]
    """Indices of the clips on the page, one of each source."""
    continued: Mapping[str, list[Clip]]
    """Every clip, continued after its first GIVEN frames; a list for each way of sampling."""
    animated: Mapping[str, list[Clip]]
    """The clips on the page, continued after their first frame; a list for each way of sampling."""
    before: Mapping[str, list[Clip]]
    """The clips on the page, `continued` and `animated` by the weights before training, with the first way of sampling;
    empty if training started from random weights."""


def play(recipe: Recipe, pipeline: VideoPipeline, group: HeldOut, before: VideoPipeline | None = None) -> Played:
    """Read the held-out clips and let the model continue them; `before`: the model before it was trained on films."""
    dataset = _dataset(recipe, group.dataset)
    footage = read_clips(dataset)
    clips = [item.frames for item in footage if item.frames is not None]
    shown = one_of_each([item.clip.path for item in footage])
    requests = {name: _requests(footage, dataset, temperature) for name, temperature in SAMPLINGS.items()}
    few = [clips[i] for i in shown]
    asked_of_few = {name: [asked[i] for i in shown] for name, asked in requests.items()}
    asked_before = next(iter(asked_of_few.values()))
    return Played(
        group=group,
        dataset=dataset,
        shown=shown,
        clips=tuple(clips),
        titles=tuple(item.clip.caption or item.clip.path for item in footage),
        through=tuple(rebuild(pipeline, clip) for clip in clips),
        continued={name: continue_clips(pipeline, clips, GIVEN, asked) for name, asked in requests.items()},
        animated={name: continue_clips(pipeline, few, 1, asked) for name, asked in asked_of_few.items()},
        before={
            name: continue_clips(before, few, given, asked_before)
            for name, given in (("continued", GIVEN), ("animated", 1))
            if before is not None
        },
    )


def judge(recipe: Recipe, pipeline: VideoPipeline, data: Path, played: Played) -> Judged:
    """Bits and continuations of one kind of held-out clips, compared with baselines that need no model."""
    text, group, bucket = text_tokens(recipe.model.text), played.group, played.dataset.bucket
    held, trained = (open_manifest(str(data / name)) for name in (group.dataset, group.trained))
    bits = evaluate_bits(pipeline.model, read_samples(held, text), read_samples(trained, text), pipeline.config.window)
    return Judged(
        title=group.title,
        about=group.about,
        scales=tuple(f"{h}x{w}" for h, w in ScaleSchedule.named(bucket.schedule).grids),
        bits=bits.to_dict(),
        continuations={
            name: compare(made, played.clips, played.through, GIVEN).to_dict()
            for name, made in played.continued.items()
        },
        given_frames=GIVEN,
        num_frames=bucket.num_frames,
        fps=bucket.fps,
    )


def show(played: Sequence[Played], folder: Path) -> Rows:
    """Videos of a few clips of each kind, all versions side by side; they are also written to `folder`."""
    rows: dict[str, list[Row]] = {"continued": [], "animated": [], "reconstructed": []}
    for one in played:
        for place, i in enumerate(one.shown):
            original = {"original": one.clips[i], "through the tokenizer": one.through[i]}
            continued = {f"{MODEL}, {name}": made[i] for name, made in one.continued.items()}
            animated = {f"{MODEL}, {name}": made[place] for name, made in one.animated.items()}
            file = f"{one.group.title}-{place + 1}.mp4"
            for section, made, given in (("continued", continued, GIVEN), ("animated", animated, 1)):
                earlier = {f"{MODEL} before": one.before[section][place]} if one.before else {}
                panels = original | _still(one, i, given) | earlier | made
                rows[section].append(_row(one, i, panels, given, folder / section / file))
            rows["reconstructed"].append(_row(one, i, original, 0, folder / "reconstructed" / file))
    return {section: tuple(found) for section, found in rows.items()}


def read_clips(dataset: DatasetConfig) -> list[Footage]:
    """The pixels of a dataset's clips; those that cannot be decoded are left out."""
    limits = DecodeLimits()
    clips, _ = plan_clips(dataset, limits)
    with FootageReader(dataset.source, limits, processes=1) as reader:
        return [footage for footage in reader.read(clips) if footage.frames is not None]


def one_of_each(sources: Sequence[str]) -> tuple[int, ...]:
    """Index of the middle clip of each source, for the first few sources."""
    by_source: dict[str, list[int]] = {}
    for i, source in enumerate(sources):
        by_source.setdefault(source, []).append(i)
    return tuple(found[len(found) // 2] for found in list(by_source.values())[:SHOWN])


def _still(played: Played, i: int, given: int) -> dict[str, Clip]:
    clip = played.clips[i]
    return {"last frame repeated": np.concatenate([clip[:given], clip[given - 1 : given].repeat(len(clip) - given, 0)])}


def _row(played: Played, i: int, panels: Mapping[str, Clip], given: int, file: Path) -> Row:
    """One clip's versions as a video, with the PSNR of each after the given frames."""
    clip = played.clips[i]
    made_from = [given if name.startswith(MODEL) else len(clip) for name in panels]
    save_mp4(side_by_side(list(panels.values()), made_from), file, played.dataset.bucket.fps / SLOWDOWN)
    figures = [f"{psnr(frames[given:], clip[given:]).mean():.1f} dB" for frames in panels.values()]
    return Row(title=played.titles[i], panels=tuple(panels), notes=("", *figures[1:]), video=file.read_bytes())


def _requests(footage: Sequence[Footage], dataset: DatasetConfig, temperature: float) -> list[Request]:
    bucket = dataset.bucket
    return [
        Request(
            prompt=item.clip.caption,
            schedule=bucket.schedule,
            num_frames=bucket.num_frames,
            guidance=1.0,
            temperature=temperature,
            seed=seed,
        )
        for seed, item in enumerate(footage)
    ]


def _dataset(recipe: Recipe, name: str) -> DatasetConfig:
    return next(dataset for dataset in recipe.data.datasets if dataset.name == name)
