"""Results of a demo that never ran, for tests of its page."""

from __future__ import annotations

from typing import Any

from videoar.cluster.demo.report import Judged

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
