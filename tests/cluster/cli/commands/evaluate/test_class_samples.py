"""`videoar evaluate class-samples`: equally many videos of each class, parts, a rerun, and what is refused."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.pretrain.config import TextConfig

from .....forked import Forked


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    model = replace(MODEL, text=TextConfig(kind="label", num_classes=3))
    return str(export_folder(tmp_path_factory.mktemp("export"), model, clip_shape("32x32", 5)))


@pytest.mark.slow
def test_parts_and_a_rerun_make_what_is_missing_and_fvd_reads_them(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is one that `evaluate fvd` takes whole: its record lies next to it."""
    one, two = tmp_path / "one", tmp_path / "two"
    asked = ["evaluate", "class-samples", weights]
    assert main([*asked, str(one), "--total", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["videos"], found["of"], found["classes"], found["per_class"]) == (6, 6, 3, 2)
    assert found["signature"].startswith("classes|videos6:")
    names = {f"{label:03d}-{index:03d}.mp4" for label in range(3) for index in range(2)}
    assert {path.name for path in one.iterdir()} == names
    assert len({path.read_bytes() for path in one.iterdir()}) == 6
    assert main([*asked, str(two), "--per-class", "2", "--part", "1/2"]) == 0
    assert len(list(two.iterdir())) == 3
    kept = two / "000-000.mp4"
    kept.write_bytes(b"kept")
    empty = two / "002-000.mp4"
    empty.write_bytes(b"")
    assert main([*asked, str(two), "--per-class", "2"]) == 0
    assert empty.stat().st_size > 0, "a power cut left it"
    assert kept.read_bytes() == b"kept"
    assert {path.name for path in two.iterdir()} == names
    capsys.readouterr()
    assert main([*asked, str(two), "--per-class", "2", "--temperature", "0.5"]) == 2
    assert "|temperature1|" in capsys.readouterr().err
    words = ["evaluate", "fvd", str(one), str(one), "--detector", "rf-fvd", "--size", "32x32", "--num-frames", "5"]
    assert main([*asked, str(two), "--per-class", "1"]) == 2, "fvd would compare videos of both counts"
    assert "holds videos of classes|videos6:" in capsys.readouterr().err
    assert main([*asked, str(two), "--per-class", "3", "--part", "2/2"]) == 0, "more of the same"
    assert kept.read_bytes() == b"kept"
    assert len(list(two.iterdir())) == 6 + 1
    assert json.loads(capsys.readouterr().out)["of"] == 9
    assert main([*words, "--few-clips"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert "|n6x6|" in compared["signature"]
    assert compared["left_out"] == {"real": {}, "generated": {}}


@pytest.mark.slow
def test_a_signal_ends_it_with_75_and_a_rerun_makes_the_rest(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scheduler tells a job before its time is over, and queues again what returns 75 and nothing else."""
    words = ["evaluate", "class-samples", weights, str(tmp_path / "out"), "--batch", "1", "--per-class", "8"]
    process = Forked(main, words)
    while not any((tmp_path / "out").glob("0*.mp4")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate()
    assert process.returncode == EXIT_PREEMPTED, said
    assert said.splitlines()[-1].startswith("stopped after a signal; to resume: videoar evaluate class-samples ")
    assert 0 < len(list((tmp_path / "out").glob("0*.mp4"))) < 24
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 24
    assert len(list((tmp_path / "out").glob("0*.mp4"))) == 24


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--total", "5", "--per-class", "2"), "total=5: is the number of all videos, but per_class=2 already sets"),
        (("--per-class", "0"), "per_class=0: is below 1"),
        (("--per-class", "1000000000"), "per_class=1000000000: is above 100000"),
        (("--per-class", "50000"), "per_class=50000: of 3 classes would be 150000 videos, but at most 100000 are made"),
        (("--per-class", "1", "--part", "4/4"), "part=4/4: has none of the 3 videos; use fewer parts"),
        (("--size", "64x64"), "size=64x64: is not a frame size"),
        (
            ("--graphs",),
            "graphs=True: has no effect on the device cpu: it records CUDA graphs; leave it out, or use a GPU",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(
    weights: str,
    tmp_path: Path,
    words: tuple[str, ...],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a folder exists, in a line that names the option."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["evaluate", "class-samples", weights, str(tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_weights_of_captions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The weights that ship read sentences."""
    assert main(["evaluate", "class-samples", "small-world", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("weights=")
    assert ": were trained on captions, and a class is asked for by its label; give weights" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())
