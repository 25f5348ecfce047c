"""The tables of a study, made from its results alone: as Markdown here, as HTML by `page`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videoar.cluster.study.results import Compared, Results, arms_with_results, compared, runs_of
from videoar.pretrain.study.definition import Study
from videoar.pretrain.study.effects import POWER, Effect, Verdict
from videoar.pretrain.study.figures import METRICS, Metric, value

Baselines = Mapping[str, Mapping[str, Any]]
"""What guesses without a model reach, as `measure.baselines` returns it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table as text."""

    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown(study: Study, results: Results, baselines: Baselines) -> str:
    """All tables."""
    parts = [f"# Results of {study.name}", extent(study, results)]
    parts += [part for table in tables(study, results, baselines) for part in _markdown(table)]
    return "\n\n".join(parts) + "\n"


def tables(study: Study, results: Results, baselines: Baselines) -> list[Table]:
    """Predictions first, then what each is made of; empty ones are left out."""
    pairs = compared(study, results)
    found = [_predictions(pairs), _paper(pairs), _figures(study, results), _others(pairs), _baselines(baselines)]
    return [table for table in found if table.rows]


def extent(study: Study, results: Results) -> str:
    """What was run, as a sentence."""
    if not results:
        return "Nothing has been run yet."
    seeds = sorted({seed for _, seed in results})
    hours = sum(line["train_s"] + line["measure_s"] for line in results.values()) / 3600
    steps = sorted({line["steps"] for line in results.values()})
    missing = len(study.arms) * len(seeds) - len(results)
    gaps = f" {missing} of their combinations are not measured yet." if missing else ""
    runs, named = (f"{word}{'s' if count > 1 else ''}" for word, count in (("run", len(results)), ("seed", len(seeds))))
    return (
        f"{len(results)} {runs} of {' and '.join(f'{count:,}' for count in steps)} steps: "
        f"{len(arms_with_results(study, results))} of {len(study.arms)} arms, {named} {', '.join(map(str, seeds))}, "
        f"{hours:.1f} hours.{gaps}"
    )


def verdicts(pair: Compared) -> list[Verdict]:
    """One for each prediction of a contrast."""
    return [pair.effects[one.metric].verdict(one.sign) for one in pair.contrast.predictions]


def _predictions(pairs: Sequence[Compared]) -> Table:
    rows = [
        (
            f"{pair.contrast.arm} − {pair.contrast.over}",
            METRICS[one.metric].title,
            one.direction,
            *_effect(METRICS[one.metric], pair.effects[one.metric]),
            f"**{verdict}**" if verdict in ("reproduced", "opposite") else verdict,
        )
        for pair in pairs
        for one, verdict in zip(pair.contrast.predictions, verdicts(pair), strict=True)
    ]
    return Table(
        title="Predictions",
        about="Directions were written down before the study ran. Effects are paired over clips and seeds; intervals "
        "are 95 %. “Reproduced” needs both intervals on the predicted side of 0, “opposite” both on the other side; "
        "everything else is not resolved. “Resolvable” is the size of an effect that this number of seeds finds with "
        f"a chance of {POWER:.0%}, from the spread of the paired differences. Of many predictions a few would be "
        "“reproduced” by chance.",
        head=("arms", "metric", "predicted", "effect", "over clips", "over seeds", "resolvable", "verdict"),
        rows=tuple(rows),
    )


def _paper(pairs: Sequence[Compared]) -> Table:
    rows = []
    for pair in pairs:
        if pair.contrast.paper:
            said = verdicts(pair)
            counts = ", ".join(f"{said.count(kind)} {kind}" for kind in dict.fromkeys(said))
            rows.append((f"{pair.contrast.arm} − {pair.contrast.over}", pair.contrast.paper, _agreement(said), counts))
    return Table(
        title="Next to the paper",
        about="The paper reports one run per row and no interval; its metrics are gFVD (lower is better) and VBench "
        "(higher is better). Each of its steps is an improvement, VBench's semantic score aside. Directions agree if a "
        "prediction is reproduced here and none is opposite.",
        head=("arms", "paper", "directions", "predictions here"),
        rows=tuple(rows),
    )


def _agreement(said: Sequence[Verdict]) -> str:
    if "one seed" in said or not {"reproduced", "opposite"} & set(said):
        return "not resolved here"
    return "mixed" if {"reproduced", "opposite"} <= set(said) else "agree" if "reproduced" in said else "disagree"


def _figures(study: Study, results: Results) -> Table:
    arms = arms_with_results(study, results)
    rows = []
    for name, metric in METRICS.items():
        cells = []
        for arm in arms:
            found = [value(name, sums) for sums in runs_of(results, arm)]
            spread = f" ± {np.std(found, ddof=1):.{metric.digits}f}" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.{metric.digits}f}{spread}")
        rows.append((metric.title, *cells))
    return Table(
        title="Figures of the arms",
        about="Mean over seeds ± standard deviation between seeds. "
        + " ".join(f"{metric.title.rpartition(',')[0]}: {metric.about}." for metric in METRICS.values()),
        head=("metric", *(arm.name for arm in arms)),
        rows=tuple(rows) if arms else (),
    )


def _others(pairs: Sequence[Compared]) -> Table:
    """The effects that nothing was predicted about."""
    rows = []
    for pair in pairs:
        predicted = {one.metric for one in pair.contrast.predictions}
        for name, metric in METRICS.items():
            if name not in predicted:
                arms = f"{pair.contrast.arm} − {pair.contrast.over}"
                rows.append((arms, metric.title, *_effect(metric, pair.effects[name])))
    return Table(
        title="Effects without a prediction",
        about="For completeness. With so many, some intervals exclude 0 by chance: they are hints, not findings.",
        head=("arms", "metric", "effect", "over clips", "over seeds", "resolvable"),
        rows=tuple(rows),
    )


def _baselines(baselines: Baselines) -> Table:
    rows = [
        (name, f"{np.mean(found['psnr']):.2f}", f"{100 * np.mean(found['position']):.2f}")
        for name, found in baselines.items()
        if "psnr" in found
    ]
    return Table(
        title="Continuations without a model",
        about="The same clips as M4. “Bits copied” is the last given frame through the tokenizer; the true future "
        "through it is about what perfect bits would reach.",
        head=("guess", METRICS["psnr"].title, METRICS["position"].title),
        rows=tuple(rows),
    )


def _effect(metric: Metric, found: Effect) -> tuple[str, str, str, str]:
    digits = metric.digits
    seeds = "one seed" if found.over_seeds is None else _interval(found.over_seeds, digits)
    size = "unknown" if found.resolvable is None else f"{found.resolvable:.{digits}f}"
    return f"{found.value:+.{digits}f}", _interval(found.over_clips, digits), seeds, size


def _interval(ends: tuple[float, float], digits: int) -> str:
    return f"{ends[0]:+.{digits}f} to {ends[1]:+.{digits}f}"


def _markdown(table: Table) -> list[str]:
    lines = [_line(table.head), _line(["---"] * len(table.head)), *map(_line, table.rows)]
    return [f"## {table.title}", table.about, "\n".join(lines)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
