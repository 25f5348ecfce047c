"""Sentences made from figures: where the model gains on the baselines, where it does not, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videoar.cluster.demo.report.findings import Findings, Judged

Estimate = Mapping[str, Any]
"""{value, low, high} of one figure."""


def headline(found: Findings) -> tuple[str, ...]:
    """A few lines for a terminal."""
    lines = []
    for judged in found.judged:
        bits, psnr = judged.bits["overall_after_first"], _best(judged)[1]
        lines.append(
            f"held-out {judged.title}: bits right {percent(bits['model'])} (majority {percent(bits['majority'])}, "
            f"copy of the last frame {percent(bits['copy'])}); continuation {db(psnr['generated'])} "
            f"(last frame repeated {db(psnr['repeated'])}, tokenizer alone {db(psnr['rebuilt'])})"
        )
    return tuple(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One line of the summary: the model compared with a baseline that needs no model."""

    clips: str
    figure: str
    model: str
    baseline: str
    value: str
    gain: str
    verdict: str


def comparisons(judged: Judged) -> tuple[Comparison, ...]:
    """The model compared with both guesses at bits and with both still pictures."""
    bits, (name, psnr) = judged.bits, _best(judged)
    found = [
        _compared(
            judged,
            "bits right",
            percent(bits["overall_after_first"]["model"]),
            words,
            percent(bits["overall_after_first"][other]),
            bits["overall_gain"][other],
            "points",
            100.0,
        )
        for other, words in (("copy", "previous frame's bits"), ("majority", "more frequent value of each bit"))
    ]
    found += [
        _compared(
            judged,
            f"continuation, {name}",
            db(psnr["generated"]),
            words,
            db(psnr[other]),
            psnr[f"gain_over_{other}"]["overall"],
            "dB",
            1.0,
        )
        for other, words in (
            ("repeated", "last frame repeated"),
            ("repeated_rebuilt", "the same, through the tokenizer"),
        )
    ]
    return tuple(found)


def summary(judged: Judged) -> str:
    """Two sentences: what the intervals say about bits and about continuations."""
    return f"On held-out {judged.title}, {_bits_summary(judged)} {_continuation_summary(judged)}"


def _bits_summary(judged: Judged) -> str:
    gains, against_copy = judged.bits["overall_gain"], judged.bits["gain_over_copy"]
    ahead = {name: gains[name]["low"] > 0 for name in ("majority", "copy")}
    if all(ahead.values()):
        return "the model guesses more bits than the majority and than copying the previous frame."
    majority = "more bits than the majority" if ahead["majority"] else "no more bits than the majority"
    more = [i for i, low in enumerate(against_copy["low"]) if low > 0]
    fewer = [i for i, high in enumerate(against_copy["high"]) if high < 0]
    sides = [f"{word} at {_named(judged, scales)}" for word, scales in (("more", more), ("fewer", fewer)) if scales]
    return f"the model guesses {majority}; against copying the previous frame, {' and '.join(sides) or 'as many'}."


def _continuation_summary(judged: Judged) -> str:
    _, psnr = _best(judged)
    still, moved = (psnr[f"gain_over_{other}"]["overall"] for other in ("repeated", "repeated_rebuilt"))
    if still["low"] > 0:
        return "Its continuations are closer to the true future than the last frame repeated."
    if moved["low"] > 0:
        return (
            "Its continuations are closer to the true future than a still picture through the same tokenizer, but not "
            "than the last frame in its original pixels: the tokenizer loses more than the motion gains."
        )
    return "Its continuations are no closer to the true future than a still picture."


def by_scale(judged: Judged) -> str:
    """A sentence: at which scales the model gains over each baseline, at which it loses."""
    against = [
        _by_scale(judged, judged.bits[f"gain_over_{name}"], words)
        for name, words in (("copy", "copying the previous frame"), ("majority", "the more frequent value"))
    ]
    return f"Held-out {judged.title}: {'; '.join(against)}."


def ceiling(judged: Judged) -> str:
    """The limit that the tokenizer sets, as a sentence."""
    return (
        f"Held-out {judged.title} through the tokenizer, with their true bits, have {db(_best(judged)[1]['rebuilt'])}: "
        "about the most that any continuation can reach."
    )


def percent(estimate: Estimate) -> str:
    """71.3 %."""
    return f"{100 * estimate['value']:.1f} %"


def db(report: Mapping[str, Any]) -> str:
    """Mean over all frames: 21.3 dB."""
    return f"{report['overall']['value']:.1f} dB"


def spread(estimate: Estimate, unit: str, times: float = 1.0) -> str:
    """+1.2 points (+0.4 to +2.0)."""
    return f"{signed(times * estimate['value'])} {unit} {interval(estimate, times)}"


def interval(estimate: Estimate, times: float = 1.0) -> str:
    """(+0.4 to +2.0)."""
    return f"({signed(times * estimate['low'])} to {signed(times * estimate['high'])})"


def signed(value: float) -> str:
    """+1.2, with a minus sign that is as wide as the plus."""
    return f"{value:+.1f}".replace("-", "−")


def duration(seconds: float) -> str:
    """45 s, or 3 min 20 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _compared(
    judged: Judged, figure: str, model: str, baseline: str, value: str, gain: Estimate, unit: str, times: float
) -> Comparison:
    verdict = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "undecided"
    return Comparison(
        clips=judged.title,
        figure=figure,
        model=model,
        baseline=baseline,
        value=value,
        gain=spread(gain, unit, times),
        verdict=verdict,
    )


def _by_scale(judged: Judged, gains: Mapping[str, Sequence[float]], against: str) -> str:
    """A clause: the scales at which the interval is above zero, those below it, and those that include it."""
    sides: dict[str, list[int]] = {"gains": [], "loses": [], "level": []}
    for scale, (low, high) in enumerate(zip(gains["low"], gains["high"], strict=True)):
        sides["gains" if low > 0 else "loses" if high < 0 else "level"].append(scale)
    parts = []
    for side in ("gains", "loses"):
        if scales := sides[side]:
            parts.append(f"{side} {_range([100 * gains['value'][i] for i in scales])} at {_named(judged, scales)}")
    if scales := sides["level"]:
        parts.append(f"does not differ from it clearly at {_named(judged, scales)}")
    return f"against {against} the model {', '.join(parts)}"


def _named(judged: Judged, scales: Sequence[int]) -> str:
    if len(scales) == len(judged.scales):
        return "every scale"
    return ("scale " if len(scales) == 1 else "scales ") + ", ".join(judged.scales[i] for i in scales)


def _range(points: Sequence[float]) -> str:
    low, high = sorted((min(map(abs, points)), max(map(abs, points))))
    return f"{high:.1f} points" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} points"


def _best(judged: Judged) -> tuple[str, Mapping[str, Any]]:
    """Name and results of the way of sampling with the higher PSNR."""
    return max(judged.continuations.items(), key=lambda item: item[1]["generated"]["overall"]["value"])
