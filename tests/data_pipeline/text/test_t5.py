from __future__ import annotations

from pathlib import Path

import pytest

from videoar.data_pipeline.text.t5 import T5Encoder

pytestmark = pytest.mark.slow


def test_empty_and_long_captions(encoder: Path) -> None:
    """Every sample needs a prefix, and none may be longer than the table of null states."""
    opened = T5Encoder(encoder, 5)
    assert [len(states) for states in opened.encode(["", "a", "a b c d e f g h"])] == [1, 2, 5]
    assert opened.whole_length("a b c d e f g h") > 5
    assert opened.whole_length("a") == 2
