"""One file without scripts, next to the run's own files: the videos that it shows are links into the folder."""

from __future__ import annotations

import importlib.resources
import math
import string
from collections.abc import Sequence
from html import escape
from pathlib import Path

from videoar.cluster.demo import report
from videoar.cluster.demo.report.charts import Series, axis, chart
from videoar.cluster.demo.report.curves import POINTS, smooth
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding
from videoar.configs.sizes import parameter_summary
from videoar.pretrain.diagnose import OnCheck, diagnose
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.record.lines import Record, finite
from videoar.pretrain.run_folder import SAMPLES

_COLOURS = 3
"""Colours that the template has for held-out datasets."""
_MARKED = {"ok": "better", "warn": "worse", "fail": "worse", "skip": "undecided"}
"""Classes of the template for the states of findings."""


def render(run: Path, on_check: OnCheck = lambda done, total, name: None) -> str:
    """The whole page as text. InputError if the folder is not that of a run that has taken a step.

    `on_check` is called when a check of `diagnose` begins.
    """
    evidence = Evidence.read(run)
    if not evidence.records:
        problem = "has no record of a step in metrics.jsonl" if evidence.left_out else "has not taken a step yet"
        raise InputError("run", run, problem, "wait, or see `videoar diagnose`")
    template = importlib.resources.files(report).joinpath("page.html").read_text(encoding="utf-8")
    title = f"Run {evidence.recipe.name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _lead(evidence),
        _curves(evidence),
        _samples(evidence),
        _findings([*diagnose(run, on_check=on_check)]),
    ]
    return string.Template(template).substitute(title=escape(f"VideoAR: {title}"), body="\n".join(body))


def _lead(evidence: Evidence) -> str:
    recipe, last = evidence.recipe, evidence.records[-1]
    stages = ", ".join(f"{stage.name} ({stage.steps:,} steps)" for stage in recipe.stages)
    said = (
        f"{parameter_summary(recipe.model)}. Step {last['step'] + 1:,} of {recipe.num_steps:,}; stages: {stages}. "
        f"Loss {_told(last, 'loss', '.4f')} nats per bit (chance: {math.log(2):.4f}), "
        f"{_told(last, 'bit_accuracy', '.1%')} of the bits right, {_told(last, 'tokens_per_s', ',.0f')} tokens per "
        "second."
    )
    return f'<p class="lead">{escape(said)} All fields: <a href="config.yaml">config.yaml</a>.</p>'


def _told(record: Record, name: str, form: str) -> str:
    """A figure in words."""
    value = finite(record.get(name))
    return "(no number)" if value is None else format(value, form)


def _curves(evidence: Evidence) -> str:
    drawn = [
        _curve(evidence, "loss", "loss, nats per bit", chance=math.log(2)),
        _curve(evidence, "bit_accuracy", "bits right, %", chance=0.5, percent=True),
        _curve(evidence, "tokens_per_s", "tokens per second"),
    ]
    figures = "".join(f"<figure>{svg}</figure>" for svg in drawn)
    said = "Training predicts under its own noise (flipped bits, hidden frames); validation has none."
    if evidence.left_out:
        said += f" {evidence.left_out:,} lines of metrics.jsonl are not records of steps, and are left out."
    return f'<h2>Curves</h2><p class="note">{said}</p><div class="charts">{figures}</div>'


def _curve(evidence: Evidence, name: str, label: str, *, chance: float | None = None, percent: bool = False) -> str:
    """A figure by step in training and on each validation dataset; vertical lines mark the beginnings of stages.

    Steps at which it is not finite are left out, and a note counts them.
    """
    points = [(float(record["step"]), finite(record.get(name))) for record in evidence.records]
    known = [(step, value) for step, value in points if value is not None]
    series = _held_out(evidence.validation, name)
    if known:
        x, y = (smooth(part, POINTS)[1] for part in zip(*known, strict=True))
        series = [Series(label="training clips", style="train", x=x, y=y), *series]
    missing = len(points) - len(known)
    note = f'<p class="note">{_left_out(label, missing, len(points))}</p>' if missing else ""
    if not series:
        return note
    ends = [points[0][0], points[-1][0]]
    if chance is not None:
        series.append(Series(label="chance", style="chance", x=ends, y=[chance, chance]))
    across = axis("step", [*ends, *(step for one in series for step in one.x)], count=6)
    up = axis(label, [value for one in series for value in one.y], percent=percent)
    return chart(label, series, across, up, bounds=_beginnings(evidence.records)) + note


def _left_out(label: str, missing: int, total: int) -> str:
    """What a figure does not show."""
    return escape(f"{label}: {missing:,} of {total:,} steps have no finite value, and are not drawn.")


def _beginnings(records: Sequence[Record]) -> list[tuple[float, str]]:
    """The first step of each stage, and its name."""
    found: dict[str, float] = {}
    for record in records:
        found.setdefault(str(record["stage"]), float(record["step"]))
    return [(step, name) for name, step in found.items()]


def _held_out(lines: Sequence[Record], name: str) -> list[Series]:
    by_dataset: dict[str, list[Record]] = {}
    for line in lines:
        if finite(line.get(name)) is not None:
            by_dataset.setdefault(str(line["dataset"]), []).append(line)
    return [
        Series(
            label=dataset,
            style=f"held-{index % _COLOURS + 1}",
            dots=True,
            x=[float(line["step"]) for line in found],
            y=[float(line[name]) for line in found],
        )
        for index, (dataset, found) in enumerate(by_dataset.items())
    ]


def _why_no_samples(every: int, num_steps: int) -> str:
    if not every:
        return "There are none: log.sample_every asks for them"
    if every > num_steps:
        return f"There are none: log.sample_every is {every:,}, more than the {num_steps:,} steps of the run"
    return f"There are none yet: they are made every {every:,} steps (log.sample_every)"


def _samples(evidence: Evidence) -> str:
    """The videos of the newest sampling."""
    run, every = evidence.run, evidence.recipe.log.sample_every
    videos = sorted((run / SAMPLES).glob("step-*/all.mp4"))
    if not videos:
        return f'<h2>Samples</h2><p class="note">{_why_no_samples(every, evidence.recipe.num_steps)}.</p>'
    place = escape(videos[-1].relative_to(run).as_posix())
    others = ", ".join(
        f'<a href="{escape(path.relative_to(run).as_posix())}">{escape(path.parent.name)}</a>' for path in videos
    )
    said = "Each clip decoded from its bits, continued from its first half, and generated from its text."
    video = f'<video src="{place}" controls loop muted playsinline></video>'
    return f'<h2>Samples</h2><p class="note">{said}</p><div class="row">{video}</div><p>All: {others}</p>'


def _findings(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f'<tr><td class="{_MARKED[finding.state]}">{finding.state}</td><td>{escape(finding.name)}</td>'
        f'<td class="long">{escape(finding.found)}<small>{escape(finding.remedy)}</small></td></tr>'
        for finding in findings
    )
    return f'<h2>What diagnose finds</h2><div class="table"><table>{rows}</table></div>'
