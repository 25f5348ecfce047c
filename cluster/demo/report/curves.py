"""The charts of the page, and the figures in each."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from videoar.cluster.demo.report.charts import Series, axis, chart, dots, heat_map, named_axis
from videoar.cluster.demo.report.findings import Figures, Findings, Judged

POINTS = 120
"""Largest number of points of a training curve; neighbouring steps are averaged."""


def loss_curve(found: Findings) -> str:
    """Loss by step on training clips and on held-out clips, and chance."""
    return _curve(found, "loss", "loss, nats per bit", chance=math.log(2))


def accuracy_curve(found: Findings) -> str:
    """Share of bits guessed right by step, in training and on held-out clips."""
    return _curve(found, "bit_accuracy", "bits right, %", chance=0.5, percent=True)


def bits_chart(judged: Judged) -> str:
    """The model and both baselines at every scale, with intervals."""
    names = (("copy", "copy of the previous frame"), ("majority", "majority"), ("model", "model"))
    series = [_by_scale(judged.bits[f"{name}_after_first"], name, label) for name, label in names]
    values = [value for one in series for part in (one.low, one.high) for value in part or ()]
    y = axis("bits right, %", [min(0.5, *values), *values], percent=True)
    return dots(
        f"Bit accuracy on held-out {judged.title}", series, named_axis("scale (grid of a frame)", judged.scales), y
    )


def heat_map_of(judged: Judged) -> str:
    """Accuracy by latent frame and scale; the lightest shade is chance."""
    values = judged.bits["accuracy"]["value"]
    rows = named_axis("latent frame", [str(i + 1) for i in range(len(values))])
    columns = named_axis("scale", judged.scales)
    return heat_map(f"Bit accuracy on held-out {judged.title} by frame and scale", values, rows, columns, low=0.5)


def frames_chart(judged: Judged) -> str:
    """PSNR by frame of the model and of the baselines."""
    styles = ("model", "sampled")
    series = [
        _by_frame(report["generated"], judged, f"model, {name}", style)
        for style, (name, report) in zip(styles, judged.continuations.items(), strict=False)
    ]
    first = next(iter(judged.continuations.values()))
    series += [
        _by_frame(first["repeated"], judged, "last frame repeated", "copy"),
        _by_frame(first["repeated_rebuilt"], judged, "last frame repeated, through the tokenizer", "majority"),
        _by_frame(first["rebuilt"], judged, "true future through the tokenizer", "ceiling"),
    ]
    x = axis("frame", [float(at) for at in series[0].x], count=6, whole=True)
    y = axis("PSNR, dB", [value for one in series for part in (one.low, one.high) for value in part or ()])
    return chart(f"PSNR of continued {judged.title} by frame", series, x, y)


def smooth(values: Sequence[float], points: int) -> tuple[list[float], list[float]]:
    """(middle index, mean) of equal stretches of the values, `points` of them at most."""
    size = max(1, math.ceil(len(values) / points))
    starts = range(0, len(values), size)
    parts = [values[start : start + size] for start in starts]
    return [start + (len(part) - 1) / 2 for start, part in zip(starts, parts, strict=True)], [
        sum(part) / len(part) for part in parts
    ]


def _curve(found: Findings, name: str, label: str, *, chance: float, percent: bool = False) -> str:
    steps, means = smooth([float(line[name]) for line in found.metrics], POINTS)
    series = [Series(label="training clips", style="train", x=steps, y=means), *_held_out(found.validation, name)]
    last = max(stage.end_step for stage in found.stages)
    series.append(Series(label="chance", style="chance", x=[0.0, float(last)], y=[chance, chance]))
    x = axis("step", [0.0, float(last)], count=6)
    y = axis(label, [value for one in series for value in one.y], percent=percent)
    return chart(label, series, x, y, bounds=[(float(stage.first_step), stage.name) for stage in found.stages])


def _held_out(lines: Sequence[Figures], name: str) -> list[Series]:
    datasets = list(dict.fromkeys(str(line["dataset"]) for line in lines))
    return [
        Series(
            label=_readable(dataset),
            style=f"held-{i + 1}",
            dots=True,
            x=[float(line["step"]) for line in lines if line["dataset"] == dataset],
            y=[float(line[name]) for line in lines if line["dataset"] == dataset],
        )
        for i, dataset in enumerate(datasets)
    ]


def _readable(dataset: str) -> str:
    """held_films64 as words: held-out films, 64x64."""
    return re.sub(r"(\d+)$", r", \1x\1", dataset.replace("held_", "held-out ").replace("_", " "))


def _by_scale(figures: Figures, style: str, label: str) -> Series:
    return _with_intervals(figures, style, label, first=0)


def _by_frame(report: Figures, judged: Judged, label: str, style: str) -> Series:
    return _with_intervals(report["by_frame"], style, label, first=judged.given_frames + 1)


def _with_intervals(figures: Figures, style: str, label: str, *, first: int) -> Series:
    """Estimates with the ends of their intervals, at first, first + 1, ..."""
    x = [float(first + i) for i in range(len(figures["value"]))]
    return Series(label=label, style=style, x=x, y=figures["value"], low=figures["low"], high=figures["high"])
