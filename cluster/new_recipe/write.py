"""A recipe as short YAML: only what differs from the defaults, with comments that say why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from videoar.cluster.ground.fields.serialize import flow, to_dict
from videoar.cluster.new_recipe.choose import Choice
from videoar.cluster.new_recipe.clips import Clips, described
from videoar.cluster.new_recipe.machine import ThisMachine
from videoar.configs.sizes import parameter_summary
from videoar.pretrain.config import Recipe, TextConfig
from videoar.pretrain.planner.report import duration

_OPEN = ("data", "data.datasets", "stages")
"""Parts that are written with a line for each field; the others are written on one line."""


def commented(choice: Choice, clips: Clips, machine: ThisMachine) -> str:
    """The file's text. Read back, it gives the same recipe."""
    lines = [
        *map(_one_line, _beginning(clips, machine)),
        *_lines(without_defaults(choice.recipe), "", 0, _comments(choice, machine)),
    ]
    return "\n".join(lines) + "\n"


def without_defaults(value: Any) -> Any:
    """The plain values of a dataclass tree, without the fields that have their default."""
    if dataclasses.is_dataclass(value):
        fields = ((item, getattr(value, item.name)) for item in dataclasses.fields(value))
        return {item.name: without_defaults(found) for item, found in fields if found != _default(item)}
    if isinstance(value, tuple):
        return [without_defaults(item) for item in value]
    return to_dict(value)


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default


def _beginning(clips: Clips, machine: ThisMachine) -> list[str]:
    return [
        f"# A recipe for the clips in {clips.path}, on {machine}: written by `videoar init`, to be edited.",
        f"# {described(clips)}.",
        "# Other fields have defaults: `videoar config FILE` shows them, `videoar train FILE --help` explains them.",
    ]


def _one_line(comment: str) -> str:
    """A comment without ends of lines and control characters, which names of folders may have."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in comment)


def _comments(choice: Choice, machine: ThisMachine) -> dict[str, str]:
    """The comments above the fields."""
    recipe = choice.recipe
    total, last = recipe.num_steps, recipe.stages[-1]
    place = f" on {machine.planned_as}" if machine.gpus else ""
    time = f"{duration((choice.step_s * total + choice.tokenizing_s) / 3600)}{place}"
    first = f"{duration(choice.tokenizing_s / 3600)} of it to turn the clips into bits"
    found = {
        "model": f"{parameter_summary(recipe.model)}; {_about_text(recipe.model.text)}.",
        "data.tokenizer": "Ships with the package; it is small, which limits sharpness (`videoar tokenizer train`).",
        "data.online": "Each clip is decoded once and kept in memory. For hours of film: false; `videoar data run`.",
        "data.datasets": _about_shapes(recipe),
        "stages": f"{total:,} steps: about {time}, {first}, by estimate. {last.name}: {choice.passes:.1f} passes.",
        "log": "Videos of clips appear in RUN/samples; `wandb: offline` writes for Weights & Biases.",
    }
    if choice.start:
        found["model"] += f" As in {choice.start.weights}: `videoar train FILE --init {choice.start.weights}`."
        found["data.tokenizer"] = f"The tokenizer of {choice.start.weights}: the model was trained on its bits."
    if machine.gpus:
        found["parallel"] = f"For `videoar train FILE --processes {machine.gpus}`; bf16 needs ZeRO 1."
    return found


def _about_text(text: TextConfig) -> str:
    kinds = {
        "bytes": "captions are read as bytes",
        "words": "captions are read by known words, and as bytes",
        "t5": "captions are read as states of T5 (`videoar data text`)",
    }
    return f"{kinds[text.kind]}, at most {text.max_tokens}"


def _about_shapes(recipe: Recipe) -> str:
    bucket, last = recipe.data.datasets[0].bucket, recipe.data.datasets[-1]
    if bucket.num_frames == 1:
        return "Single frames: the folder has no film that is long enough for a clip."
    share = 1 - last.source.start_fraction
    held = (
        f"the last {share:.0%} of every film is held out"
        if last.name == "held"
        else "films are too short to hold a part out"
    )
    return f"Clips of {bucket.num_frames} frames, {bucket.num_frames / bucket.fps:.2g} s, at two sizes; {held}."


def _lines(value: Mapping[str, Any], place: str, indent: int, comments: Mapping[str, str]) -> Iterator[str]:
    """The fields of a part, one after another, each with the comment above it."""
    margin = " " * indent
    for name, item in value.items():
        path = f"{place}.{name}".lstrip(".")
        if path in comments:
            yield f"{margin}# {_one_line(comments[path])}"
        if path not in _OPEN:
            yield f"{margin}{name}: {flow(item)}"
            continue
        yield f"{margin}{name}:"
        if isinstance(item, Mapping):
            yield from _lines(item, path, indent + 2, comments)
        else:
            yield from (f"{margin}  - {flow(part)}" for part in item)
