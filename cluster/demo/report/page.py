"""The page: sections in the order of a reader's questions. One file without scripts, fonts or external links."""

from __future__ import annotations

import base64
import importlib.resources
import string
from collections.abc import Iterable, Sequence
from html import escape

from videoar.cluster.demo.report.curves import accuracy_curve, bits_chart, frames_chart, heat_map_of, loss_curve
from videoar.cluster.demo.report.findings import Findings, Judged, Row
from videoar.cluster.demo.report.words import by_scale, ceiling, comparisons, duration, interval, signed, summary

PERCENT = 100.0


def render(found: Findings) -> str:
    """The whole page as text."""
    template = importlib.resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    sections = (
        _top(found),
        _sentences(found),
        _path(found),
        _continued(found),
        _animated(found),
        _training(found),
        _summary(found),
        _bits(found),
        _distance(found),
        _reconstructed(found),
        _cost(found),
        _details(found),
    )
    return string.Template(template).substitute(title="VideoAR demo", body="\n".join(sections))


def _top(found: Findings) -> str:
    seconds = sum(cost.seconds for cost in found.costs)
    begun = "the weights that come with the package" if found.start else "random weights"
    return (
        "<h1>From clips to video, in miniature</h1>"
        f'<p class="lead">Everything below was made on this machine in {duration(seconds)}: clips became bits, a '
        f"generator began with {begun}, was trained in three stages, exported, and asked to continue unseen clips.</p>"
    )


def _sentences(found: Findings) -> str:
    """What the weights that ship make from sentences."""
    if not (rows := found.rows.get("sentences", ())):
        return ""
    seconds = next((cost.seconds for cost in found.costs if cost.name == "first videos"), 0.0)
    return (
        f"<h2>A sentence, and a video of it</h2><p>Made in {duration(seconds)} by <code>{escape(found.start)}</code>, "
        "the weights that come with the package, which know a small world of moving shapes. Each is the first sample; "
        "how often such videos are right is on the card of the weights.</p>"
        f'<div class="sentences">{"".join(_row(row, "pair") for row in rows)}</div>'
    )


def _path(found: Findings) -> str:
    tokens = sum(stage.tokens for stage in found.stages)
    steps = (
        (f"{found.num_clips:,} clips", "films and drawings, as pixels"),
        (f"{found.tokenizer.latent_dim} bits per token", f"tokenizer {found.tokenizer.name}, several scales per frame"),
        (f"{len(found.stages)} stages", f"{tokens / 1e6:.2f} M tokens into {found.parameters / 1e6:.1f} M parameters"),
        ("weights", "config.json and safetensors, with the tokenizer"),
        ("video", "held-out clips continued and animated"),
    )
    path = "".join(f"<li><b>{escape(name)}</b>{escape(about)}</li>" for name, about in steps)
    title = "<h2>The whole path, on real clips</h2>" if found.start else ""
    return f'{title}<ol class="path">{path}</ol>'


def _summary(found: Findings) -> str:
    said = "".join(f"<p>{escape(summary(one))}</p>" for one in found.judged)
    heads = ("held-out", "figure", "model", "compared with", "", "gain", "")
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in heads)}</tr>"
    lines = "".join(
        f'<tr><td>{one.clips}</td><td>{one.figure}</td><td class="gain"><b>{one.model}</b></td>'
        f"<td>{one.baseline}</td>"
        f'<td class="gain">{one.value}</td><td class="gain">{one.gain}</td>'
        f'<td class="{one.verdict.split()[0]}">{one.verdict}</td></tr>'
        for judged in found.judged
        for one in comparisons(judged)
    )
    about = "; ".join(f"{one.title}: {one.about}" for one in found.judged)
    return (
        f'<h2>What was learned</h2>{said}<div class="table words"><table>{head}{lines}</table></div>'
        f'<p class="note">Held out: {escape(about)}. Bits: from the second latent frame on, each guessed from the true '
        "bits before it. Continuation: PSNR against the original pixels, for the better of two ways of sampling. In "
        "brackets: 95 % bootstrap intervals over clips; clips of one film overlap, so the intervals hold for these "
        "films, and results on other videos may be worse.</p>"
    )


def _continued(found: Findings) -> str:
    if not found.judged:
        return ""
    one = found.judged[0]
    made = one.num_frames - one.given_frames
    return (
        "<h2>Held-out clips, continued</h2>"
        f"<p>The model is given {one.given_frames} frames ({one.given_frames / one.fps:.2f} s) and generates the next "
        f"{made} ({made / one.fps:.2f} s). A blue line marks the generated frames.</p>"
        + _rows(found.rows["continued"])
        + '<p class="note">Played at half speed. Figures: PSNR of the frames after the given ones against the original '
        "pixels. “Through the tokenizer” is the original turned into bits and back: the result of perfect "
        "bits.</p>"
    )


def _animated(found: Findings) -> str:
    return (
        "<h2>A held-out frame, animated</h2>"
        "<p>The model is given only the first frame and the caption. It cannot know the direction of motion unless the "
        "caption says it.</p>" + _rows(found.rows["animated"])
    )


def _reconstructed(found: Findings) -> str:
    return (
        "<h2>What the tokenizer keeps</h2>"
        "<p>Left: the original. Right: the video decoded from its bits. The generator never sees more than this.</p>"
        f'<div class="pairs">{"".join(_row(row, "pair") for row in found.rows["reconstructed"])}</div>'
    )


def _bits(found: Findings) -> str:
    charts = "".join(
        _figure(
            bits_chart(one),
            f"Held-out {one.title} ({one.about}), {one.bits['num_samples']} clips. Bits guessed "
            "right from the second latent frame on, given the true bits before them; bars are 95 % intervals.",
        )
        for one in found.judged
    )
    said = "".join(f"<p>{escape(by_scale(one))}</p>" for one in found.judged)
    maps = "".join(
        _figure(
            heat_map_of(one),
            f"Held-out {one.title}: bits guessed right, in percent, by latent frame (down) and "
            "scale (across, coarse to fine). The first frame has no past.",
        )
        for one in found.judged
    )
    return (
        "<h2>Held-out bits</h2><p>A frame is a stack of grids of bits, coarse to fine. “Majority” guesses the more "
        "frequent value of each bit in the training clips; “copy” guesses the same bit of the previous frame. The "
        "model sees a past frame through the inputs of its scales, so it sees only an average of the last scale’s "
        "bits: if little moves, copying has the advantage there.</p>"
        f'<div class="charts">{charts}</div>{said}{_gains(found.judged)}<div class="charts">{maps}</div>'
    )


def _gains(judged: Sequence[Judged]) -> str:
    """Gain over both baselines by scale, as a table."""
    head = "".join(f"<th class=number>{escape(scale)}</th>" for scale in judged[0].scales)
    lines = []
    for one in judged:
        for name in ("copy", "majority"):
            gains = one.bits[f"gain_over_{name}"]
            at_scale = ({key: gains[key][i] for key in gains} for i in range(len(one.scales)))
            cells = "".join(
                f"<td class=number>{signed(PERCENT * gain['value'])}<small>{interval(gain, PERCENT)}</small></td>"
                for gain in at_scale
            )
            lines.append(f"<tr><td>{escape(one.title)}, over {name}</td>{cells}</tr>")
    return f'<div class="table"><table><tr><th>gain, points</th>{head}</tr>{"".join(lines)}</table></div>'


def _distance(found: Findings) -> str:
    charts = "".join(
        _figure(
            frames_chart(one),
            f"Held-out {one.title}: PSNR of each frame against the original pixels, mean over clips and 95 % interval.",
        )
        for one in found.judged
    )
    return (
        "<h2>How long a continuation stays accurate</h2><p>The continuation is compared with one future, though many "
        f"are possible: this measures drift, not quality. {escape(' '.join(ceiling(one) for one in found.judged))}</p>"
        f'<div class="charts">{charts}</div>'
    )


def _training(found: Findings) -> str:
    loss, accuracy = loss_curve(found), accuracy_curve(found)
    about = "; ".join(f"{stage.name}: {stage.about}" for stage in found.stages)
    return (
        "<h2>Training</h2>"
        f"<p>{escape(about)}.</p>"
        '<div class="charts">'
        + _figure(loss, "Loss by step. A dashed vertical line shows where a stage begins.")
        + _figure(accuracy, "Bits guessed right by step, over all scales.")
        + "</div>"
        '<p class="note">Grey: the training clips of the stage, with part of the past’s bits flipped on purpose '
        "(Cross-Frame Error Correction) and averaged over neighbouring steps; a jump at a stage is a change of data. "
        "Dots: whole held-out sets, nothing flipped. Accuracy at a size is low before the "
        "stage that trains it, and falls again after that stage.</p>"
    )


def _cost(found: Findings) -> str:
    total = sum(cost.seconds for cost in found.costs)
    lines = []
    for cost in found.costs:
        lines.append(_cost_line(cost.name, cost.seconds, total, _gigabytes(cost.peak_bytes)))
        if cost.name == "train":
            lines += [
                _cost_line(f"stage {stage.name}", stage.seconds, total, f"{stage.tokens:,} tokens", "part")
                for stage in found.stages
            ]
    peaks = [cost.peak_bytes for cost in found.costs if cost.peak_bytes is not None]
    lines.append(_cost_line("all", total, 0.0, _gigabytes(max(peaks, default=None)), "sum"))
    head = "<tr><th>step</th><th></th><th class=number>wall time</th><th class=number>peak memory</th></tr>"
    return (
        f'<h2>What each step cost</h2><div class="table"><table>{head}{"".join(lines)}</table></div>'
        '<p class="note">Memory is that of this process and all that it started, shared pages counted once, sampled '
        "twice per second. Validation time is included in the stage during which it runs.</p>"
    )


def _details(found: Findings) -> str:
    tokenizer = found.tokenizer
    facts = {
        "recipe": found.recipe,
        "generator": f"{found.parameters:,} parameters",
        "tokenizer": f"{tokenizer.name} ({tokenizer.parameters:,} parameters, {tokenizer.latent_dim} bits per token, "
        f"hash {tokenizer.hash})",
        **found.machine,
    }
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    commands = escape("\n".join(found.commands))
    return f"<h2>What it ran on, and what to run next</h2><dl>{listed}</dl><pre>{commands}</pre>"


def _rows(rows: Iterable[Row]) -> str:
    return f'<div class="rows">{"".join(_row(row) for row in rows)}</div>'


def _row(row: Row, style: str = "") -> str:
    heads = "".join(f"<b>{escape(panel)}</b>" for panel in row.panels)
    top = f'<div class="heads top">{heads}</div>' if heads else ""
    notes = "".join(f"<span>{escape(note)}</span>" for note in row.notes)
    source = base64.b64encode(row.video).decode()
    label = escape(": ".join(filter(None, (row.title, ", ".join(row.panels)))))
    return (
        f'<div class="row {style}"><h3>{escape(row.title)}</h3>{top}'
        f'<video autoplay loop muted playsinline aria-label="{label}" src="data:video/mp4;base64,{source}"></video>'
        f'<div class="heads">{notes}</div></div>'
    )


def _figure(chart: str, caption: str) -> str:
    return f"<figure>{chart}<figcaption>{escape(caption)}</figcaption></figure>"


def _cost_line(name: str, seconds: float, total: float, memory: str, style: str = "") -> str:
    bar = f'<span class="bar" style="width:{100 * seconds / total:.1f}%"></span>' if total else ""
    return (
        f'<tr class="{style}"><td>{escape(name)}</td><td class="wide">{bar}</td>'
        f'<td class="number">{duration(seconds)}</td><td class="number">{escape(memory)}</td></tr>'
    )


def _gigabytes(size_bytes: int | None) -> str:
    return "not measured" if size_bytes is None else f"{size_bytes / 2**30:.1f} GB"
