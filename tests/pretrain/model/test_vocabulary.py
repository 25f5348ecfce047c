"""Token ids of captions and labels."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.config import TextConfig
from videoar.pretrain.model.vocabulary import BytesText, LabelText, WordsText, text_tokens


def entry(caption: str = "", label: int | None = None) -> SampleEntry:
    return SampleEntry("a", 1, "d", "64x64", 1, caption, label, "s.tar", 512, 10)


@pytest.mark.parametrize("text", [BytesText(64), WordsText(64, ("a", "red", "Quadrat", ","))])
@pytest.mark.parametrize("caption", ["", "  ", "a red square", "ein großes Quadrat", "x" * 300])
def test_length_is_the_number_of_tokens(caption: str, text: BytesText | WordsText) -> None:
    """Packs are planned from lengths alone; a wrong one would overflow a pack in training."""
    assert isinstance(text, TextTokens)
    tokens = text.tokens(entry(caption))
    assert len(tokens) == text.length(entry(caption)) >= 1
    assert tokens.max() < text.vocab_size


def test_an_empty_caption_is_the_null_token_and_no_byte_is() -> None:
    """Were a NUL byte id 0, an empty caption and "\\0" would be one condition."""
    assert BytesText(8).encode("").tolist() == [0]
    assert BytesText(8).encode("\0a").tolist() == [1, 98]


def test_a_known_word_is_one_token_and_all_else_is_bytes() -> None:
    """Words that run together, or an unknown word that reads as a known one, would be another condition."""
    text = WordsText(64, ("a", "Red", ","))
    assert text.encode("A red,\n RED a").tolist() == [257, 258, 259, 258, 257]
    assert text.encode("a reds").tolist() == [257, *(1 + byte for byte in b"reds ")]
    assert text.encode("b c").tolist() == [1 + byte for byte in b"b c "]
    assert text.encode("").tolist() == [0]
    assert text.whole_length("a " * 70) == 70
    with pytest.raises(InputError, match="reads captions"):
        text.encode(3)


def test_words_are_needed_and_named_once() -> None:
    """Two ids for one word would leave one of them untrained."""
    assert text_tokens(TextConfig(kind="words", words=("a",))) == WordsText(256, ("a",))
    with pytest.raises(InputError, match=r"words.*is empty"):
        TextConfig(kind="words")
    with pytest.raises(InputError, match=r"words.*twice"):
        TextConfig(kind="words", words=("a", "A"))


def test_labels_are_one_token_and_checked() -> None:
    """A label beyond the table would read past the embedding."""
    text = LabelText(num_classes=3)
    assert np.array_equal(text.tokens(entry(label=2)), [2])
    assert text.length(entry(label=2)) == 1
    for wrong in (3, -1, "two"):
        with pytest.raises(InputError, match="0 to 2"):
            text.encode(wrong)
    with pytest.raises(InputError, match="has none"):
        text.length(entry(label=None))
