"""The charts of a study's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64

from videoar.cluster.demo.report.charts import Series, axis, chart, dots, named_axis
from videoar.cluster.study.results import Compared, Results, arms_with_results, runs_of
from videoar.cluster.study.table import Baselines
from videoar.pretrain.study.definition import Arm, Study
from videoar.pretrain.study.figures import METRICS, Sums, accuracy_by_flips, accuracy_by_frame

STYLES = 7
"""Colours for arms that the page has; more arms share them."""

Curve = Float64[np.ndarray, " x"]


def flips_chart(study: Study, results: Results) -> str:
    """M1: accuracy of the last trained frame by the share of flipped bits in its history."""
    ratios = [100 * ratio for ratio in accuracy_by_flips(next(iter(results.values()))["sums"])]
    curves = _of_arms(study, results, lambda sums: np.array(list(accuracy_by_flips(sums).values())))
    return _lines("Bits right by flipped history", curves, ratios, "flipped bits of the history, %", "bits right, %")


def frames_chart(study: Study, results: Results) -> str:
    """M3 and M6: accuracy by latent frame, past the trained length too."""
    curves = _of_arms(study, results, accuracy_by_frame)
    last = len(next(iter(curves.values())))
    trained = next(iter(results.values()))["sums"]["trained"]
    frames = [float(frame + 1) for frame in range(last)]
    bounds = [(trained + 0.5, "longer than trained")]
    return _lines("Bits right by latent frame", curves, frames, "latent frame", "bits right, %", bounds)


def drift_chart(study: Study, results: Results, baselines: Baselines, name: str, label: str, times: float) -> str:
    """M4: `psnr` or `position` of sampled continuations by frame, next to guesses without a model."""
    curves = _of_arms(study, results, lambda sums: np.mean(sums[name], axis=0))
    frames = [float(study.probes.given_frames + 1 + i) for i in range(len(next(iter(curves.values()))))]
    series = _series(curves, frames, times)
    for (guess, found), style in zip(
        baselines.items(), ("guess copy", "guess majority", "guess ceiling"), strict=False
    ):
        if name in found:
            level = [times * float(at) for at in np.mean(found[name], axis=0)]
            series.append(Series(label=guess, style=style, x=frames, y=level))
    y = axis(label, [at for one in series for at in one.y])
    return chart(f"{label} of continuations by frame", series, axis("frame", frames, whole=True), y)


def effects_chart(pairs: Sequence[Compared], metric: str) -> str:
    """The effect of every contrast in one metric, with both intervals."""
    names = [f"{pair.contrast.arm}−{pair.contrast.over}" for pair in pairs]
    effects = [pair.effects[metric] for pair in pairs]
    kinds = {
        "over clips": ("model", [found.over_clips for found in effects]),
        "over seeds": ("copy", [found.over_seeds or (found.value, found.value) for found in effects]),
    }
    series = [
        Series(
            label=label,
            style=style,
            x=[float(i) for i in range(len(effects))],
            y=[found.value for found in effects],
            low=[low for low, _ in ends],
            high=[high for _, high in ends],
        )
        for label, (style, ends) in kinds.items()
    ]
    values = [0.0, *(at for one in series for part in (one.low, one.high) for at in part or ())]
    numbered = named_axis("contrast", [str(i + 1) for i in range(len(names))])
    return dots(f"Effects: {METRICS[metric].title}", series, numbered, axis(METRICS[metric].title, values))


def arm_style(study: Study, arm: Arm) -> str:
    """The CSS class of an arm's colour."""
    return f"arm-{study.arms.index(arm) % STYLES + 1}"


def _of_arms(study: Study, results: Results, curve: Callable[[Sums], Curve]) -> dict[tuple[str, str], Curve]:
    """The mean curve over seeds of every arm, by its name and style."""
    return {
        (arm.name, arm_style(study, arm)): np.mean([curve(sums) for sums in runs_of(results, arm)], axis=0)
        for arm in arms_with_results(study, results)
    }


def _series(curves: dict[tuple[str, str], Curve], x: Sequence[float], times: float) -> list[Series]:
    return [
        Series(label=label, style=style, x=x, y=[times * float(at) for at in curve], dots=True)
        for (label, style), curve in curves.items()
    ]


def _lines(
    title: str,
    curves: dict[tuple[str, str], Curve],
    x: Sequence[float],
    x_label: str,
    y_label: str,
    bounds: Sequence[tuple[float, str]] = (),
) -> str:
    series = _series(curves, x, 100.0)
    y = axis(y_label, [at for one in series for at in one.y])
    return chart(title, series, axis(x_label, x), y, bounds=bounds)
