"""The demo's page: whole, self-contained, and true to its figures."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from videoar.cluster.demo.cost import Cost
from videoar.cluster.demo.report import Findings, Judged, Row, StageCost, TokenizerFacts, headline, render, to_json
from videoar.cluster.demo.report.charts import axis
from videoar.cluster.demo.report.curves import smooth
from videoar.cluster.demo.report.words import by_scale, comparisons, duration, summary

SCALES = ("1x1", "2x2")


def estimate(value: float, margin: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - margin, "high": value + margin}


def estimates(*values: float) -> dict[str, list[float]]:
    return {name: [estimate(value)[name] for value in values] for name in ("value", "low", "high")}


def continuation(generated: float) -> dict[str, Any]:
    levels = {"generated": generated, "repeated": 22.0, "rebuilt": 24.0, "repeated_rebuilt": 20.0}
    report = {
        name: {"by_frame": estimates(level, level - 1), "overall": estimate(level, 0.5)}
        for name, level in levels.items()
    }
    for name in ("repeated", "repeated_rebuilt"):
        gain = generated - levels[name]
        report[f"gain_over_{name}"] = {"by_frame": estimates(gain, gain), "overall": estimate(gain, 0.5)}
    return {"num_clips": 4, **report}


def judged(generated: float = 21.0) -> Judged:
    bits = {
        "num_samples": 4,
        "accuracy": {name: [[0.9, 0.8], [0.7, None]] for name in ("value", "low", "high")},
        "model_after_first": estimates(0.8, 0.7),
        "majority_after_first": estimates(0.6, 0.55),
        "copy_after_first": estimates(0.75, 0.72),
        "gain_over_majority": estimates(0.2, 0.15),
        "gain_over_copy": estimates(0.05, -0.02),
        "overall_after_first": {"model": estimate(0.72), "majority": estimate(0.56), "copy": estimate(0.725)},
        "overall_gain": {"majority": estimate(0.16), "copy": estimate(-0.005)},
    }
    return Judged(
        title="films",
        about="the last fifth",
        scales=SCALES,
        bits=bits,
        given_frames=5,
        num_frames=7,
        fps=25.0,
        continuations={"temperature 0.7": continuation(generated), "temperature 1": continuation(generated - 1)},
    )


@pytest.fixture
def found() -> Findings:
    metrics = tuple(
        {"step": step, "stage": "I", "loss": 0.69 - 0.01 * step, "bit_accuracy": 0.5 + 0.01 * step, "step_s": 0.5}
        for step in range(10)
    )
    row = Row(title="a <man> & a car", panels=("original", "model"), notes=("", "20.1 dB"), video=b"mp4 bytes")
    return Findings(
        recipe="demo",
        machine={"torch": "2.13"},
        parameters=2_000_000,
        num_clips=100,
        tokenizer=TokenizerFacts(name="demo", hash="0" * 16, parameters=1000, latent_dim=24),
        costs=(Cost(name="train", seconds=61.0, peak_bytes=2**30), Cost(name="export", seconds=1.0, peak_bytes=None)),
        stages=(StageCost(name="I", about="images", first_step=0, end_step=10, tokens=7680, seconds=60.0),),
        metrics=metrics,
        validation=tuple({**metrics[step - 1], "step": step, "dataset": "held_films128"} for step in (5, 10)),
        judged=(judged(),),
        rows={"continued": (row,), "animated": (row,), "reconstructed": (row,)},
        commands=("videoar generate runs/demo/weights",),
    )


class Balance(HTMLParser):
    """Collects elements that are left open and every address that the page would load."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def test_the_page_is_whole_and_loads_nothing(found: Findings) -> None:
    """It is opened from a disk, mailed and archived: no script, no address outside it, every element closed."""
    page = render(found)
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert balance.loaded
    assert all(address.startswith("data:video/mp4;base64,") for address in balance.loaded)
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().split()


def test_what_people_wrote_is_text(found: Findings) -> None:
    """A caption of the user's clip may hold anything; it must not become markup."""
    assert "<man>" not in render(found)
    assert "a &lt;man&gt; &amp; a car" in render(found)


def test_verdicts_follow_the_intervals() -> None:
    """Better, worse and undecided are said of intervals above, below and across zero, never of the bare figure."""
    said = {one.baseline: one.verdict for one in comparisons(judged(21.0))}
    assert said == {
        "previous frame's bits": "undecided",
        "more frequent value of each bit": "better",
        "last frame repeated": "worse",
        "the same, through the tokenizer": "better",
    }


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (23.0, "closer to the true future than the last frame repeated"),
        (21.0, "in its original pixels"),
        (20.0, "no closer"),
    ],
)
def test_the_summary_admits_what_was_not_learned(generated: float, words: str) -> None:
    """The page of a failed run must not read like that of a good one."""
    assert words in summary(judged(generated))
    assert "guesses more bits than the majority; against copying" in summary(judged(generated))
    assert "more at scale 1x1 and fewer at scale 2x2." in summary(judged(generated))


def test_scales_are_told_apart() -> None:
    """Gains at coarse scales and losses at fine ones are both named."""
    assert by_scale(judged()) == (
        "Held-out films: against copying the previous frame the model gains 5.0 points at scale 1x1, loses 2.0 points "
        "at scale 2x2; against the more frequent value the model gains 15.0 to 20.0 points at every scale."
    )


def test_the_better_way_of_sampling_is_told(found: Findings) -> None:
    """The terminal's line and the page's table speak of one way of sampling, the better one."""
    assert "continuation 21.0 dB" in headline(found)[0]


def test_a_run_without_clips_of_a_kind_still_has_a_page(found: Findings) -> None:
    """Rows may be empty: a folder of clips may give none to show."""
    assert "What each step cost" in render(replace(found, rows={name: () for name in found.rows}))


def test_figures_without_the_videos(found: Findings) -> None:
    """report.json is for scripts: megabytes of base64 do not belong there."""
    assert "mp4" not in to_json(found)
    assert '"peak_bytes": null' in to_json(found)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1000.0], ["0", "200", "400", "600", "800", "1000"]),
        ([0.61, 0.69], ["0.60", "0.62", "0.64", "0.66", "0.68", "0.70"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    """An axis reads 0.60, 0.62, ..., and covers its values."""
    found = axis("x", values)
    assert [name for _, name in found.ticks] == ticks
    assert found.low <= min(values)
    assert found.high >= max(values)


def test_percent_ticks_and_equal_values() -> None:
    """A share is shown in percent; a constant curve still has an axis."""
    assert [name for _, name in axis("x", [0.5, 0.9], percent=True).ticks] == ["50", "60", "70", "80", "90"]
    assert [name for _, name in axis("x", [6.0, 9.0], count=6, whole=True).ticks] == ["6", "7", "8", "9"]
    assert axis("x", [3.0, 3.0]).low < 3 < axis("x", [3.0, 3.0]).high


def test_smoothing_keeps_the_mean() -> None:
    """Averages over equal stretches, at their middle."""
    assert smooth([1.0, 2.0, 3.0, 4.0, 5.0], 3) == ([0.5, 2.5, 4.0], [1.5, 3.5, 5.0])


def test_durations() -> None:
    """59.6 s is a minute."""
    assert (duration(59.4), duration(59.6), duration(200.0)) == ("59 s", "1 min 00 s", "3 min 20 s")
