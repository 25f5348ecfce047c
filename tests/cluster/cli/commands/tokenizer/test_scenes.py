"""`videoar tokenizer scenes`: what is still read rightly after the bits, and refusals in one line."""

from __future__ import annotations

import json

import pytest

from videoar.cluster.entry import main


@pytest.mark.slow
def test_the_tokenizer_that_ships_keeps_colours_and_directions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader sees everything in true clips; an untrained tokenizer leaves it nothing to see."""
    asked = ["--scenes", "2", "--size", "96x96", "--num-frames", "5", "--batch", "2"]
    assert main(["tokenizer", "scenes", "world", *asked]) == 0
    report = json.loads(capsys.readouterr().out)
    for name, objects in (("one_object", 2), ("two_objects", 4)):
        found = report[name]
        assert found["drawn"]["everything"]["right"] == 2
        assert found["through"]["colour"]["of"] == objects
        assert found["through"]["colour"]["right"] == found["through"]["direction"]["right"] == objects
        assert 20 < found["psnr_db"]["value"] < 40
    assert "|96x96|T5@8fps|2+2|seed0|v1" in report["signature"]
    assert main(["tokenizer", "scenes", "tiny", *asked]) == 0
    untrained = json.loads(capsys.readouterr().out)
    assert untrained["one_object"]["through"]["direction"]["right"] == 0
    assert untrained["signature"] != report["signature"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["tokenizer", "scenes", "tiny", *asked]) == 0
    told = capsys.readouterr().out
    assert untrained["signature"] in told
    assert "| two objects" in told
    assert "Measured by `videoar tokenizer scenes tiny --scenes 2" in told


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tiny", "--num-frames", "1"], "num_frames=1: shows no motion to read; use at least 5"),
        (["tiny", "--fps", "3"], "fps=3.0: is outside of the 8 to 32 frames per second"),
        (["tiny", "--size", "60x60"], "size=60x60: is not in the table of scale schedules"),
        (["paper-2d"], "weights=an image tokenizer: codes no motion; give a video tokenizer"),
    ],
)
def test_what_cannot_be_measured_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "scenes", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(line)
    assert error.count("\n") == 1
