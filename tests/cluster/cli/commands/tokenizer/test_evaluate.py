from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_an_untrained_preset_can_be_measured(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the lower bound that a trained tokenizer is compared with."""
    assert main(["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["num_clips"], found["size"], found["num_frames"]) == (1, "32x32", 5)
    assert len(found["bit_entropy"]) == 2


def test_what_is_left_out_is_told(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure over half of a folder would be taken for one over all of it."""
    folder = tmp_path / "mine"
    shutil.copytree(clips, folder)
    (folder / "broken.mp4").write_text("no film")
    assert main(["tokenizer", "evaluate", "tiny", str(folder), "--size", "32x32", "--num-frames", "5"]) == 0
    printed = capsys.readouterr()
    ((reason, count),) = json.loads(printed.out)["left_out"].items()
    assert (count, reason.startswith("cannot be opened")) == (1, True)
    assert f"left out, for example broken.mp4: {reason}" in printed.err.splitlines()


def test_a_folder_without_clips_of_that_length_is_one_line(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means over no clips would be NaN, which is not JSON."""
    assert main(["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "17"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("use other clips or a smaller bucket")
