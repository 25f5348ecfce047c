"""Whether a run learns: its first loss, its curve, and the accuracy by scale and frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from videoar.cluster.ground.finding import Finding
from videoar.pretrain.diagnose.evidence import ENOUGH, Evidence, Record, mean_list, mean_of, median_of
from videoar.pretrain.start.held_out import not_held_out

CHANCE = math.log(2)
HEALTHY = 0.8
"""Bit accuracy, under training noise, of a converged model of this kind."""
LONG = 1000
"""Number of steps after the warm-up before a flat curve counts as stuck."""


def first_loss(evidence: Evidence) -> Iterator[Finding]:
    """An untrained model guesses: its loss is ln 2 for each bit, on any data."""
    name, first = "first loss", evidence.records[0]
    if first["step"] != 0:
        yield Finding(name=name, state="skip", found=f"the curve begins at step {first['step']}")
        return
    begun = [event.get("origin") for event in evidence.events if event["event"] == "begun_from"]
    if begun:
        found = f"{first['loss']:.4f} nats a bit at step 0, with weights that were trained before: {begun[-1]}"
        yield Finding(name=name, state="ok", found=found, figures={"loss": first["loss"]})
        return
    loss, away = first["loss"], first["loss"] - CHANCE
    found = f"{loss:.4f} nats a bit at step 0; chance is ln 2 = {CHANCE:.4f}"
    figures = {"loss": loss, "chance": CHANCE}
    if abs(away) < 0.01:
        yield Finding(name=name, state="ok", found=found, figures=figures)
        return
    remedy = (
        "the weights were trained before this run: start in an empty run directory"
        if away < 0
        else "the logits of untrained weights must be near 0: check for weights that were not initialised"
    )
    yield Finding(name=name, state="warn" if abs(away) < 0.03 else "fail", found=found, remedy=remedy, figures=figures)


def learning_rate(evidence: Evidence) -> Iterator[Finding]:
    """A rate of zero trains nothing. A warm-up as long as the run trains little. With too high a rate the loss rises
    again."""
    name, highest = "learning rate", max(record["learning_rate"] for record in evidence.records)
    if highest == 0:
        yield Finding(
            name=name,
            state="fail",
            found=f"0 at each of {len(evidence.records)} steps: no weight changes",
            remedy="set stages.NAME.learning_rate (1e-4 in the paper)",
            figures={"highest": 0.0},
        )
        return
    climb, lowest, now = _climb(evidence)
    figures = {"highest": highest, "lowest_loss": lowest, "loss": now}
    if climb > 0.05:
        yield Finding(
            name=name,
            state="fail" if now > CHANCE else "warn",
            figures=figures,
            found=f"the loss rose from {lowest:.3f} to {now:.3f} at a rate of up to {highest:.1e}",
            remedy="halve the learning rate or raise optimizer.warmup_steps; resume from a checkpoint before the rise",
        )
        return
    warmup, of = evidence.recipe.optimizer.warmup_steps, evidence.recipe.num_steps
    if warmup >= of:
        yield Finding(
            name=name,
            state="warn",
            figures=figures,
            found=f"the warm-up ({warmup} steps) is as long as the run ({of}) or longer; rate up to {highest:.1e}",
            remedy="lower optimizer.warmup_steps to a tenth of the steps or less, and train again",
        )
        return
    yield Finding(name=name, state="ok", found=f"up to {highest:.1e}; the loss does not rise", figures=figures)


def learning(evidence: Evidence) -> Iterator[Finding]:
    """After the warm-up the loss is below chance; otherwise the data does not reach the weights."""
    name, steps = "learning", evidence.trained
    if len(steps) < ENOUGH:
        yield Finding(name=name, state="skip", found=f"{len(steps)} steps after the warm-up; {ENOUGH} are needed")
        return
    loss, accuracy = mean_of(evidence.recent, "loss"), mean_of(evidence.recent, "bit_accuracy")
    if loss is None or accuracy is None:
        yield Finding(name=name, state="fail", found="no loss was recorded", remedy="see the line `skipped steps`")
        return
    found, figures = f"loss {loss:.4f}, bit accuracy {accuracy:.3f}", {"loss": loss, "bit_accuracy": accuracy}
    if CHANCE - loss > 0.005 or accuracy > 0.52:
        yield Finding(name=name, state="ok", found=f"{found}; chance is {CHANCE:.4f} and 0.5", figures=figures)
        return
    yield Finding(
        name=name,
        state="fail",
        found=f"{found} after {len(evidence.records)} steps: this is chance, nothing is learned",
        remedy=_why_nothing(evidence),
        figures=figures,
    )


def plateau(evidence: Evidence) -> Iterator[Finding]:
    """An accuracy that stays near 0.7 (0.8 is healthy) is the best known failure; the optimizer seldom causes it."""
    name, steps = "plateau", evidence.trained
    if len(steps) < LONG:
        yield Finding(name=name, state="skip", found=f"{len(steps)} steps after the warm-up; {LONG} are needed")
        return
    part = len(steps) // 10
    now = mean_of(steps[-part:], "bit_accuracy")
    before = mean_of(steps[len(steps) // 2 :][:part], "bit_accuracy")
    if now is None or before is None:
        yield Finding(name=name, state="skip", found="no bit accuracy was recorded")
        return
    flips = mean_of(evidence.recent, "flip_ratio") or 0.0
    figures = {"bit_accuracy": now, "half_way": before, "flip_ratio": flips}
    found = f"bit accuracy {now:.3f}, {before:.3f} halfway, at a flip ratio of {flips:.2f}"
    if now - before < 0.005 and now < 0.76:
        yield Finding(
            name=name,
            state="warn",
            figures=figures,
            found=f"{found}: stuck below the healthy {HEALTHY}",
            remedy="check in this order: the lines `tokenizer`, `data` and `text` above; the quality of the tokenizer "
            "(noise in the finest scale); correction.p_max above 0.25; `--deep` (training against inference)",
        )
        return
    yield Finding(name=name, state="ok", found=found, figures=figures)


def by_scale(evidence: Evidence) -> Iterator[Finding]:
    """Each scale has its own inputs, so the scale that fails shows which input is wrong."""
    name, scales = "loss by scale", mean_list(evidence.recent, "bit_accuracy_by_scale")
    if len(evidence.trained) < ENOUGH or len(scales) < 3:
        yield Finding(name=name, state="skip", found="too few steps or scales")
        return
    values = [value if value is not None else math.nan for value in scales]
    found = "bit accuracy " + " ".join(f"{value:.2f}" for value in values) + ", coarse to fine"
    figures = {"bit_accuracy_by_scale": scales}
    others = sorted(values)[len(values) // 2]
    if values[0] < 0.52 and others > 0.6:
        yield Finding(
            name=name,
            state="fail",
            found=f"{found}: the first scale guesses",
            figures=figures,
            remedy="it sees only the text and the previous frame: see the line `text`, check that captions belong to "
            "their clips",
        )
        return
    if values[-1] < 0.51 and others > 0.6:
        yield Finding(
            name=name,
            state="warn",
            found=f"{found}: the last scale guesses",
            figures=figures,
            remedy="its bits are noise to the model: check that the tokenizer was trained with residuals of scales and "
            "with this scale schedule",
        )
        return
    yield Finding(name=name, state="ok", found=found, figures=figures)


def by_frame(evidence: Evidence) -> Iterator[Finding]:
    """Later frames see the past, so their accuracy must not be lower than that of the first one."""
    name, frames = "loss by frame", mean_list(evidence.recent, "bit_accuracy_by_frame")
    later = [value for value in frames[1:] if value is not None]
    if len(evidence.trained) < LONG // 5 or not later or frames[0] is None:
        yield Finding(name=name, state="skip", found="too few steps, or no video in this stage")
        return
    found = f"bit accuracy {frames[0]:.3f} in the first frame, {fmean(later):.3f} in later ones"
    figures = {"bit_accuracy_by_frame": frames}
    if fmean(later) < frames[0] - 0.03:
        yield Finding(
            name=name,
            state="warn",
            found=f"{found}: the past does not help",
            figures=figures,
            remedy="check stages.NAME.window and p_mask, correction.delta (the flip ratio rises with the frame), and "
            "the frame rate of the clips",
        )
        return
    yield Finding(name=name, state="ok", found=found, figures=figures)


def held_out(evidence: Evidence) -> Iterator[Finding]:
    """A held-out loss that rises while the training loss falls: the model memorises the data."""
    for warning in not_held_out(evidence.recipe):
        problem, _, remedy = warning.partition("; ")
        yield Finding(name="held-out loss", state="warn", found=problem, remedy=remedy)
    by_dataset: dict[str, list[Record]] = {}
    for line in evidence.validation:
        by_dataset.setdefault(line["dataset"], []).append(line)
    if not by_dataset:
        yield Finding(
            name="held-out loss",
            state="skip",
            found="nothing was validated",
            remedy="set log.validate_every and log.validation",
        )
    for dataset, lines in by_dataset.items():
        best, last = min(lines, key=lambda line: float(line["loss"])), lines[-1]
        found = f"{dataset}: {last['loss']:.4f} at step {last['step']}, lowest {best['loss']:.4f} at {best['step']}"
        risen = last["loss"] - best["loss"] > 0.02
        yield Finding(
            name="held-out loss",
            state="warn" if risen else "ok",
            found=found,
            remedy="use more data or more variants of each clip, or stop at the lowest" if risen else "",
            figures={"dataset": dataset, "last": last["loss"], "lowest": best["loss"], "lowest_step": best["step"]},
        )


def _climb(evidence: Evidence) -> tuple[float, float, float]:
    """(last minus lowest, lowest, last) of the smoothed loss of the current stage."""
    losses = [record["loss"] for record in evidence.records if record["stage"] == evidence.records[-1]["stage"]]
    losses = [loss for loss in losses if math.isfinite(loss)]
    if not losses:
        return math.nan, math.nan, math.nan
    width = max(3, len(losses) // 20)
    smooth = [fmean(losses[i : i + width]) for i in range(0, max(1, len(losses) - width + 1))]
    return smooth[-1] - min(smooth), min(smooth), smooth[-1]


def _why_nothing(evidence: Evidence) -> str:
    """The most likely reason, judged by the other records."""
    if max(record["learning_rate"] for record in evidence.records) == 0:
        return "the learning rate is 0"
    if fmean(record["applied"] for record in evidence.records) < 0.5:
        return "most steps were skipped: see the line `skipped steps`"
    norm = median_of(evidence.recent, "grad_norm") or 0.0
    if norm < 1e-6:
        return "there is no gradient: check for a constant head or frozen weights"
    return (
        f"there are gradients (norm {norm:.2g}), but they do not help: the targets do not belong to the inputs (see "
        "the lines `data` and `bits`), or the learning rate is far too small"
    )
