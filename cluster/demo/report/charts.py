"""Charts as SVG text: no script, colours by class, so that the page's theme decides them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 26.0, 44.0
"""Margins of the plotted area, in the units of the view box."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line or one set of points."""

    label: str
    """Name in the legend."""
    style: str
    """CSS class that gives the colour: `model`, `copy`, `majority`, ..."""
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    """Ends of the interval of each point."""
    dots: bool = False
    """Draw points instead of a line."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its quantity with unit, its range, and ticks at round values."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float, first: float, last: float) -> float:
        """Position of a value, if the axis is drawn from `first` to `last`."""
        return first + (value - self.low) / (self.high - self.low) * (last - first)


def axis(label: str, values: Sequence[float], *, count: int = 5, percent: bool = False, whole: bool = False) -> Axis:
    """An axis that covers the values, with about `count` ticks; `whole`: at whole numbers only."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        around = max(0.5, 1e-3 * abs(high))
        low, high = low - around, high + around
    step = _round_step((high - low) / count)
    step = max(1.0, step) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple((i * step, _number(i * step, step, percent)) for i in range(first, last + 1))
    return Axis(label, first * step, last * step, ticks)


def named_axis(label: str, names: Sequence[str]) -> Axis:
    """An axis of names at 0, 1, 2, ..."""
    return Axis(label, -0.5, len(names) - 0.5, tuple((float(i), name) for i, name in enumerate(names)))


def chart(title: str, series: Sequence[Series], x: Axis, y: Axis, *, bounds: Sequence[tuple[float, str]] = ()) -> str:
    """Lines and points over two axes; `bounds` are vertical lines, each with a name to its right."""
    body = [_grid(x, y)]
    body += [_bound(x, at, name) for at, name in bounds]
    body += [_line(one, x, y) for one in series]
    return _svg(title, "".join(body)) + legend(series)


def dots(title: str, series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Points with the ends of their intervals; the series are next to each other at every x."""
    body = [_grid(x, y, vertical=False)]
    for i, one in enumerate(series):
        shift = (i - (len(series) - 1) / 2) * 0.2
        body.append(_whiskers(one, x, y, shift))
    return _svg(title, "".join(body)) + legend(series)


def heat_map(title: str, values: Sequence[Sequence[float | None]], rows: Axis, columns: Axis, low: float) -> str:
    """Cells shaded from `low` (empty) to 1 (full), each with its value in percent; rows from top to bottom."""
    height = TOP + 36 * len(values) + BOTTOM
    side_x, side_y = (WIDTH - LEFT - RIGHT) / len(values[0]), 36.0
    cells = [
        _cell(LEFT + column * side_x, TOP + row * side_y, side_x, side_y, value, low)
        for row, line in enumerate(values)
        for column, value in enumerate(line)
    ]
    names = [
        _text(LEFT + (i + 0.5) * side_x, height - BOTTOM + 16, name, "tick", "middle")
        for i, (_, name) in enumerate(columns.ticks)
    ]
    names += [
        _text(LEFT - 8, TOP + (i + 0.5) * side_y + 4, name, "tick", "end") for i, (_, name) in enumerate(rows.ticks)
    ]
    names.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 8, columns.label, "label", "middle"))
    names.append(_text(2.0, 14.0, rows.label, "label", "start"))
    return _svg(title, "".join(cells + names), height)


def legend(series: Sequence[Series]) -> str:
    """The legend: names next to their colours."""
    items = (f'<span><i class="{one.style}"></i>{escape(one.label)}</span>' for one in series if one.label)
    return f'<p class="legend">{"".join(items)}</p>'


def _svg(title: str, body: str, height: float = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _grid(x: Axis, y: Axis, *, vertical: bool = True) -> str:
    parts = []
    for value, name in y.ticks:
        at = _y(y, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(LEFT - 8, at + 4, name, "tick", "end"))
    for value, name in x.ticks:
        at = _x(x, value)
        if vertical:
            low = HEIGHT - BOTTOM
            parts.append(f'<line class="tickmark" x1="{at:.1f}" x2="{at:.1f}" y1="{low}" y2="{low + 4}"/>')
        parts.append(_text(at, HEIGHT - BOTTOM + 17, name, "tick", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x.label, "label", "middle"))
    parts.append(_text(2.0, 14.0, y.label, "label", "start"))
    return "".join(parts)


def _bound(x: Axis, at: float, name: str) -> str:
    place = _x(x, at)
    line = f'<line class="bound" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    return line + _text(place + 4, TOP + 10, name, "bound-name", "start")


def _line(one: Series, x: Axis, y: Axis) -> str:
    points = [(_x(x, a), _y(y, b)) for a, b in zip(one.x, one.y, strict=True)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    marks = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6"><title>{_told(one, i)}</title></circle>'
        for i, (a, b) in enumerate(points)
    ]
    return (
        _band(one, x, y) + f'<g class="{one.style}"><polyline points="{path}"/>{"".join(marks) if one.dots else ""}</g>'
    )


def _band(one: Series, x: Axis, y: Axis) -> str:
    if one.low is None or one.high is None:
        return ""
    there = [(_x(x, a), _y(y, b)) for a, b in zip(one.x, one.low, strict=True)]
    back = [(_x(x, a), _y(y, b)) for a, b in zip(one.x, one.high, strict=True)][::-1]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in there + back)
    return f'<polygon class="band {one.style}" points="{path}"/>'


def _whiskers(one: Series, x: Axis, y: Axis, shift: float) -> str:
    parts = []
    for i, (a, b) in enumerate(zip(one.x, one.y, strict=True)):
        at = _x(x, a + shift)
        if one.low is not None and one.high is not None:
            ends = _y(y, one.low[i]), _y(y, one.high[i])
            parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>')
        parts.append(f'<circle cx="{at:.1f}" cy="{_y(y, b):.1f}" r="4"><title>{_told(one, i)}</title></circle>')
    return f'<g class="{one.style}">{"".join(parts)}</g>'


def _told(one: Series, i: int) -> str:
    interval = f" [{one.low[i]:.4g}, {one.high[i]:.4g}]" if one.low is not None and one.high is not None else ""
    return escape(f"{one.label}: {one.y[i]:.4g}{interval}")


def _cell(x: float, y: float, width: float, height: float, value: float | None, low: float) -> str:
    if value is None:
        return ""
    strength = min(1.0, max(0.0, (value - low) / (1 - low)))
    return (
        f'<rect class="cell" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}" '
        f'rx="3" style="--strength:{100 * strength:.0f}%"/>'
        + _text(x + width / 2, y + height / 2 + 4, f"{100 * value:.0f}", "on" if strength > 0.55 else "off", "middle")
    )


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(x: Axis, value: float) -> float:
    return x.place(value, LEFT, WIDTH - RIGHT)


def _y(y: Axis, value: float) -> float:
    return y.place(value, HEIGHT - BOTTOM, TOP)


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9))


def _number(value: float, step: float, percent: bool) -> str:
    value, step = (100 * value, 100 * step) if percent else (value, step)
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
