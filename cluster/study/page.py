"""The page of a study: one file without scripts or external links, in the style of the demo's page."""

from __future__ import annotations

import importlib.resources
import string
from html import escape

from videoar.cluster.demo import report
from videoar.cluster.study.curves import arm_style, drift_chart, effects_chart, flips_chart, frames_chart
from videoar.cluster.study.results import Results, compared
from videoar.cluster.study.table import Baselines, Table, extent, tables
from videoar.pretrain.study.definition import Study

_SHOWN_EFFECTS = ("drop", "inherited", "fourfold", "position")

_LONG = 20
"""Characters of a cell that may be broken into lines."""

_MARKED = {"reproduced": "better", "opposite": "worse", "not resolved": "undecided", "one seed": "undecided"}
"""Classes of the template for verdicts."""


def render(study: Study, results: Results, baselines: Baselines) -> str:
    """The whole page as text."""
    template = importlib.resources.files(report).joinpath("page.html").read_text(encoding="utf-8")
    found = tables(study, results, baselines)
    body = [
        f"<h1>Study: {escape(study.name)}</h1>",
        f'<p class="lead">{escape(extent(study, results))}</p>',
        *map(_table, found[:1]),
        _curves(study, results, baselines) if results else "",
        _effects(study, results),
        *map(_table, found[1:]),
        _arms(study),
    ]
    return string.Template(template).substitute(title=f"VideoAR study {study.name}", body="\n".join(body))


def _curves(study: Study, results: Results, baselines: Baselines) -> str:
    figures = (
        (
            flips_chart(study, results),
            "M1. The last frame of a clip, guessed from a history in which bits are flipped. All curves are means over "
            "seeds.",
        ),
        (
            frames_chart(study, results),
            "M6 and M3. Each bit is guessed from the true bits before it. Right of the line, clips are longer than any "
            "that was trained on.",
        ),
        (
            drift_chart(study, results, baselines, "psnr", "PSNR, dB", 1.0),
            "M4. Sampled continuations against the true future, which the first two latent frames decide.",
        ),
        (
            drift_chart(study, results, baselines, "position", "position error, % of side", 100.0),
            "M4. Distance of the objects from their true places, as the reader of the small world sees it; an object "
            "that is not found counts as 50 %.",
        ),
    )
    drawn = "".join(f"<figure>{svg}<figcaption>{escape(said)}</figcaption></figure>" for svg, said in figures)
    return f'<h2>Curves</h2><div class="charts">{drawn}</div>'


def _effects(study: Study, results: Results) -> str:
    pairs = compared(study, results)
    if not pairs:
        return ""
    names = "; ".join(f"{i + 1}: {pair.contrast.arm} − {pair.contrast.over}" for i, pair in enumerate(pairs))
    drawn = "".join(f"<figure>{effects_chart(pairs, metric)}</figure>" for metric in _SHOWN_EFFECTS)
    said = f'<p class="note">{escape(names)}. With one seed there is no interval over seeds.</p>'
    return f'<h2>Effects</h2><div class="charts">{drawn}</div>{said}'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return (
        f'<h2>{escape(table.title)}</h2><p class="note">{escape(table.about)}</p>'
        f'<div class="table"><table><tr>{head}</tr>{rows}</table></div>'
    )


def _cell(text: str) -> str:
    plain = text.strip("*")
    style = _MARKED.get(plain, "long" if len(text) > _LONG else "")
    return f'<td class="{style}">{escape(plain)}</td>'


def _arms(study: Study) -> str:
    over = {contrast.arm: contrast.over for contrast in reversed(study.contrasts)}
    rows = tuple(
        f'<li class="{arm_style(study, arm)}"><b>{escape(arm.name)}</b>: {escape(arm.adds)}'
        f"{escape(f', added to {over[arm.name]}') if arm.name in over else ''}</li>"
        for arm in study.arms
    )
    return f"<h2>The arms</h2><ul>{''.join(rows)}</ul>"
