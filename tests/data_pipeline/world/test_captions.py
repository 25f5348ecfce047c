"""What is said is told apart from what is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from videoar.data_pipeline.world.captions import WORDS, caption, said
from videoar.data_pipeline.world.scene import COLOURS, SHAPES, SIZES, SPEEDS, scene
from videoar.pretrain.model.vocabulary import BytesText, WordsText


def test_the_fields_that_are_said_are_in_the_sentence() -> None:
    """A figure about a size that no sentence mentions would be about guessing."""
    sizes = speeds = 0
    for index in range(200):
        what = scene(0, index)
        sentence, fields = caption(what), said(what)
        assert len(fields) == len(what.things)
        for name in ("size", "speed"):
            values = {getattr(thing, name) for thing, told in zip(what.things, fields, strict=True) if name in told}
            words = {"size": ("small", "large"), "speed": ("slowly", "quickly")}[name]
            assert {word for word in words if word in sentence.replace(",", "").split()} == values
        assert all({"colour", "shape", "direction"} <= told for told in fields)
        sizes += sum("size" in told for told in fields)
        speeds += sum("speed" in told for told in fields)
    assert 100 < sizes < 250
    assert 50 < speeds < 200


def test_the_vocabulary_has_every_word_and_no_other() -> None:
    """A word that is missing is read letter by letter; one that is never said takes a row of the table."""
    text = WordsText(100, WORDS)
    tokens = {int(token) for index in range(400) for token in text.encode(caption(scene(1, index)))}
    assert tokens == set(range(BytesText.vocab_size, text.vocab_size))


def test_the_sentence_says_which_object_is_in_front() -> None:
    """The first frames do not show it, so a future in which two objects meet would else be a guess."""
    double = [what for what in (scene(2, index) for index in range(60)) if len(what.things) == 2]
    assert len(double) > 10
    for what in double:
        front, back = (caption(what).replace(",", "").split().index(thing.colour) for thing in what.things)
        assert front < back
        assert caption(replace(what, things=what.things[::-1])) != caption(what)


def test_the_page_names_all_that_can_be_in_a_clip() -> None:
    """People who use the world as a test bed read it there."""
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    table = page.partition("### A test bed")[2].partition("\n\nNothing bounces")[0]
    assert {*COLOURS, *SHAPES, *SIZES, *SPEEDS} <= set(re.findall(r"\w+", table))
    ranges = [f"{low:g} to {high:g}" for low, high in (*SIZES.values(), *SPEEDS.values())]
    assert [told for told in ranges if told not in page] == []
