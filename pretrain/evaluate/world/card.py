"""The figures of the small world as a section in Markdown: for a terminal, and for the model card of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videoar.pretrain.evaluate.world.places import LARGEST_ERROR
from videoar.pretrain.evaluate.world.score import MEASURES

_NAMES = {"still_camera": "still camera", "number": "number of objects"}
_GROUPS = {"one_object": "one object", "two_objects": "two objects"}
_KINDS = {
    "generated": "generated",
    "repeated": "last given frame, repeated",
    "repeated_rebuilt": "the same through the tokenizer",
    "rebuilt": "true future through the tokenizer",
}
_CONFUSIONS = 3
"""Confusions that are listed of each measure."""

Figure = Mapping[str, Any]
Table = list[tuple[str, ...]]


def card(report: Mapping[str, Any], command: str = "") -> str:
    """The section: each figure with its 95 % interval, chance or a baseline next to it, and the signature.

    `command` is the one that measured them, if it was one.
    """
    parts = [
        "## The small world",
        f"Held-out scenes, {report['size']}, {report['num_frames']} frames at {report['fps']:g} per second. "
        "Intervals are of 95 %. Figures with equal signatures may be compared:",
        f"`{report['signature']}`",
        *([f"Measured by `{command}`."] if command else []),
        "### From sentences",
        "Share of what the sentences say that the reader sees in the videos. Chance is a generator that draws scenes "
        "of this world without reading. The last column is the reader on true clips through the tokenizer: the most "
        "that can be reached.",
    ]
    for name, title in _GROUPS.items():
        parts.append(_markdown(_prompts(report, name, title)))
    parts.append(_tokenizer(report))
    if instead := _instead(report):
        parts.append(instead)
    for found in report["continuations"]:
        parts += _continued(report, found)
    about = "Share of bits of true clips guessed right from the true ones before them, after the first latent frame."
    for bits in report["bits"]:
        parts += [f"### Bits of {_length(report, bits)}", about, _markdown(_bits(bits))]
    return "\n\n".join(parts) + "\n"


def tokenizer_card(report: Mapping[str, Any], command: str = "") -> str:
    """What a tokenizer alone keeps of scenes, as `evaluate_scenes` reports it."""
    parts = [
        f"Held-out scenes through the tokenizer, {report['size']}, {report['num_frames']} frames at {report['fps']:g} "
        "per second: what the reader sees rightly, and PSNR. Intervals are of 95 %.",
        f"`{report['signature']}`",
        *([f"Measured by `{command}`."] if command else []),
    ]
    for name, title in _GROUPS.items():
        found = report[name]
        rows: Table = [(title, "through the tokenizer", "of", "true clips")]
        for measure in MEASURES:
            if count := found["through"][measure]["of"]:
                cells = (_shares(found["through"][measure]), str(count), _shares(found["drawn"][measure]))
                rows.append((_NAMES.get(measure, measure), *cells))
        rows.append(("PSNR, dB", _figure(found["psnr_db"], ".1f"), "", ""))
        parts.append(_markdown(rows))
    return "\n\n".join(parts) + "\n"


def _prompts(report: Mapping[str, Any], name: str, title: str) -> Table:
    rows: Table = [(title, "right", "of", "chance", "tokenizer alone")]
    for measure in MEASURES:
        found, best = report["prompts"][name][measure], report["tokenizer_alone"][name]["through"][measure]
        if found["of"]:
            row = (_shares(found), str(found["of"]), _share(found["chance"]), _shares(best))
            rows.append((_NAMES.get(measure, measure), *row))
    return rows


def _tokenizer(report: Mapping[str, Any]) -> str:
    """PSNR of the tokenizer alone, and the reader's own errors."""
    told = []
    for name, title in _GROUPS.items():
        alone = report["tokenizer_alone"][name]
        everything = alone["drawn"]["everything"]
        told.append(
            f"{title.capitalize()}: {_figure(alone['psnr_db'], '.1f')} dB; of the true clips before it, "
            f"{_shares(everything)} are read right in everything"
        )
    return "The tokenizer alone. " + ". ".join(told) + "."


def _instead(report: Mapping[str, Any]) -> str:
    """The most frequent confusions, as sentences."""
    lines = []
    for name, title in _GROUPS.items():
        for measure in MEASURES[:-1]:
            table = report["prompts"][name][measure]["seen_instead"]
            pairs = sorted(
                ((count, wanted, seen) for wanted, row in table.items() for seen, count in row.items()), reverse=True
            )
            if pairs:
                told = ", ".join(f"{seen} for {wanted} ({count})" for count, wanted, seen in pairs[:_CONFUSIONS])
                lines.append(f"- {title}, {_NAMES.get(measure, measure)}: {told}")
    return "\n".join(["Most often seen instead:", "", *lines]) if lines else ""


def _continued(report: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    count, given = found["psnr_db"]["num_clips"], report["given_frames"]
    about = (
        f"{count} clips, continued after {given} frames, which show where each object goes. Position errors are in "
        f"shorter sides of the frame; an object that is not found counts as {LARGEST_ERROR:g}, and no error as more. "
        "Gains are paired by clip."
    )
    psnr, places = found["psnr_db"], found["position_error"]
    rows: Table = [("", "PSNR, dB", "position error", "objects not found")]
    for kind, title in _KINDS.items():
        place = places[kind]
        cells = (_figure(psnr[kind]["overall"], ".1f"), _figure(place["overall"], ".3f"))
        rows.append((title, *cells, _shares(place["not_found"]["overall"])))
    for kind in ("repeated", "repeated_rebuilt"):
        gains = (psnr[f"gain_over_{kind}"]["overall"], places[f"gain_over_{kind}"]["overall"])
        cells = (_figure(gains[0], "+.1f"), _figure(gains[1], "+.3f"))
        rows.append((f"gain over {_KINDS[kind]}", *cells, ""))
    return [f"### Continued to {_length(report, found)}", about, _markdown(rows), _markdown(_by_frame(report, found))]


def _length(report: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The frames of the clips of a table."""
    length = found["num_frames"]
    return f"{length} frames" + ("" if length == report["num_frames"] else ", twice the length of training")


def _by_frame(report: Mapping[str, Any], found: Mapping[str, Any]) -> Table:
    """One frame of each latent frame: the last."""
    given, length = report["given_frames"], found["num_frames"]
    places = range(3, length - given, 4)
    rows: Table = [("by frame", *(str(given + place + 1) for place in places))]
    for kind in ("generated", "repeated", "rebuilt"):
        values = found["psnr_db"][kind]["by_frame"]["value"]
        rows.append((f"{kind}, dB", *(f"{values[place]:.1f}" for place in places)))
    for kind in ("generated", "repeated", "rebuilt"):
        values = found["position_error"][kind]["by_frame"]["value"]
        rows.append((f"{kind}, position", *(_number(values[place], ".3f") for place in places)))
    return rows


def _bits(found: Mapping[str, Any]) -> Table:
    rows: Table = [("scale", "model", "copy of the last frame", "majority", "gain over copy", "gain over majority")]
    names = ("model_after_first", "copy_after_first", "majority_after_first", "gain_over_copy", "gain_over_majority")
    for scale in range(len(found["model_after_first"]["value"])):
        cells = [{bound: found[name][bound][scale] for bound in ("value", "low", "high")} for name in names]
        rows.append((str(scale + 1), *map(_shares, cells[:3]), *map(_points, cells[3:])))
    overall, gains = found["overall_after_first"], found["overall_gain"]
    shares = (_shares(overall[name]) for name in ("model", "copy", "majority"))
    rows.append(("all", *shares, *(_points(gains[name]) for name in ("copy", "majority"))))
    return rows


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _shares(figure: Figure) -> str:
    """A share with its interval."""
    if figure["value"] is None:
        return ""
    return f"{_share(figure['value'])} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"


def _points(figure: Figure) -> str:
    """A difference of shares, in points of percent."""
    value, low, high = (100 * figure[bound] for bound in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _figure(figure: Figure, form: str) -> str:
    value, low, high = (_number(figure[bound], form) for bound in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """A table whose columns are aligned, so that it reads well as plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
