"""Sentences about a scene, in several phrasings."""

from __future__ import annotations

import re
from string import Formatter

from videoar.data_pipeline.world.scene import COLOURS, DIRECTIONS, SHAPES, SIZES, SPEEDS, Scene, Thing

_LOOKS = ("a {size} {colour} {shape}", "a {colour} {shape}", "a {size} {shape} in {colour}")
_MOVES = (
    "moving {direction}",
    "moving {direction} {speed}",
    "{speed} moving {direction}",
    "that moves {direction}",
    "going {direction}",
)
_PASSES = ("{0}, in front of {1}", "{0} and, behind it, {1}", "{0} passes in front of {1}")
_PLACES = ("", " on a {background} background")
_PANS = (", the camera pans {pan}", ", while the camera pans {pan}")
_BACKGROUNDS = {"plain": "plain", "gradient": "shaded", "stripes": "striped", "checks": "checked"}


_SAID = (*_LOOKS, *_MOVES, *_PASSES, *_PLACES, *_PANS, *_BACKGROUNDS.values())
_VALUES = (*COLOURS, *SHAPES, *SIZES, *SPEEDS, *DIRECTIONS)
_FIELD = re.compile(r"\{\w+\}")

WORDS = tuple(sorted({word for text in (*_SAID, *_VALUES) for word in re.findall(r"\w+|,", _FIELD.sub("", text))}))
"""Every word of the sentences, and the comma: a vocabulary for `model.text.words`."""


def caption(what: Scene) -> str:
    """A sentence that is true of the scene. Which phrasing is used depends on the scene's own draw."""
    templates, drawn = _templates(what)
    words = [_say(template, thing) for template, thing in zip(templates, what.things, strict=True)]
    if len(words) == 2:
        joined, drawn = _pick(_PASSES, drawn)
        words = [joined.format(*words)]
    place, drawn = _pick(_PLACES, drawn)
    pan, drawn = _pick(_PANS, drawn)
    background = _BACKGROUNDS[what.background]
    return words[0] + place.format(background=background) + (pan.format(pan=what.pan) if what.pan else "")


def said(what: Scene) -> tuple[frozenset[str], ...]:
    """Names of the fields that the caption states about each object; it does not always state size and speed."""
    templates, _ = _templates(what)
    return tuple(frozenset(name for _, name, _, _ in Formatter().parse(template) if name) for template in templates)


def _templates(what: Scene) -> tuple[list[str], float]:
    """How each object is described, and what is left of the draw."""
    drawn, templates = what.phrasing, []
    for _ in what.things:
        look, drawn = _pick(_LOOKS, drawn)
        move, drawn = _pick(_MOVES, drawn)
        templates.append(f"{look} {move}")
    return templates, drawn


def _say(words: str, thing: Thing) -> str:
    return words.format(
        size=thing.size, colour=thing.colour, shape=thing.shape, direction=thing.direction, speed=thing.speed
    )


def _pick(choices: tuple[str, ...], drawn: float) -> tuple[str, float]:
    """A choice, and what is left of the draw for the next."""
    scaled = drawn * len(choices)
    return choices[int(scaled)], scaled - int(scaled)
