"""`videoar evaluate fvd`: two folders of videos in, an interval with a signature out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.decoded import decoded
from videoar.cluster.entry import main
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.evaluate import folder_features
from videoar.pretrain.evaluate.fvd.fvd import fvd
from videoar.pretrain.evaluate.fvd.protocol import _PUBLISHED as protocol_table
from videoar.pretrain.evaluate.fvd.protocol import Protocol
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures
from videoar.pretrain.generate.video import save_mp4
from videoar.tokenizer.config import ClipBucket

COUNT = 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`real` has drawn clips, `made` other ones, and darker."""
    root, bucket = tmp_path_factory.mktemp("videos"), ClipBucket(schedule="32x32", num_frames=5)
    for index in range(COUNT):
        save_mp4(draw_clip(0, index, bucket), root / "real" / f"{index}.mp4", 8.0)
        save_mp4(draw_clip(1, index, bucket) // 2, root / "made" / f"{index}.mp4", 8.0)
    return root


@pytest.fixture(autouse=True)
def group_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_features, "GROUP", 4)


def _words(folders: Path, *words: str, generated: str = "made") -> list[str]:
    given = [str(folders / "real"), str(folders / generated)]
    for name, value in (("--detector", "rf-fvd"), ("--size", "32x32"), ("--num-frames", "5")):
        given += [name, value] if name not in words else []
    return ["evaluate", "fvd", *given, *words]


def _found(capsys: pytest.CaptureFixture[str], words: list[str]) -> dict[str, Any]:
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_the_distance_is_that_of_the_library(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same frames give the same number; a folder compared with itself gives none."""
    found = _found(capsys, _words(folders, "--few-clips"))
    read = {
        kind: np.stack([np.stack(decoded(path)) for path in (folders / kind).iterdir()]) for kind in ("real", "made")
    }
    protocol = Protocol(frames=5, height=32, width=32, split="real")
    whole = fvd([read["real"]], [read["made"]], RandomFeatures(), protocol, resamples=2)
    assert found["value"] == pytest.approx(float(whole.distance.value), rel=1e-3)
    assert found["low"] <= found["value"] <= found["high"]
    assert (
        found["signature"]
        == whole.signature
        == f"rf-fvd|det=0958da99|T5|32|n{COUNT}x{COUNT}|split=real|clip=centre|resize=bicubic|seed0|v2"
    )
    assert found["warnings"][0] == "rf-fvd is on random features: this is not an FVD and cannot be compared with one"
    assert found["left_out"] == {"real": {}, "generated": {}}
    assert _found(capsys, _words(folders, "--few-clips", generated="real"))["value"] < 1e-6 * found["value"]


@pytest.mark.slow
def test_kept_features_are_not_computed_again(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real set of a paper is 10,000 clips: an interrupted run resumes, parts are joined, and nothing changes."""
    words = _words(folders, "--few-clips", "--features", str(tmp_path / "kept"))
    assert _found(capsys, [*words, "--part", "1/2"])["real"] == 4
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert _found(capsys, [*words, "--part", "2/2"])["generated"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(folder_features, "read_clips", None)  # whoever reads a clip fails
        joined = _found(capsys, words)
    assert joined == _found(capsys, _words(folders, "--few-clips"))
    _found(capsys, [*words, "--part", "1/2", "--fit", "stretch"])
    assert len(list((tmp_path / "kept").iterdir())) == 6, "other frames have other features"
    _found(capsys, [*words, "--part", "1/2", "--resize", "bilinear"])
    assert len(list((tmp_path / "kept").iterdir())) == 8, "and so have frames of another filter"


@pytest.mark.slow
def test_damaged_features_are_computed_again(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that was full leaves a file cut off; features of other clips would give a number like any other."""
    words = _words(folders, "--few-clips", "--features", str(tmp_path / "kept"))
    whole = _found(capsys, words)
    kept = sorted((tmp_path / "kept").iterdir(), key=lambda path: np.load(path).shape)
    content = [path.read_bytes() for path in kept]
    assert [np.load(path).shape for path in kept] == [(2, 96), (2, 96), (4, 96), (4, 96)]
    kept[0].write_bytes(b"")
    kept[1].write_bytes(content[1][:100])
    np.save(kept[2], np.ones((5, 96)))
    np.save(kept[3], np.full((4, 96), np.nan))
    assert _found(capsys, words) == whole
    assert sorted(message.partition(" is ")[0] for message in caplog.messages) == sorted(map(str, kept))
    assert all("is damaged: its " in message for message in caplog.messages)
    assert [path.read_bytes() for path in kept] == content, "and kept"
    np.save(kept[0], np.load(kept[1]))  # features alone, as another program would write them
    kept[1].write_bytes(content[1].replace(b"(2, 96)", b"(2, 96`"))
    kept[2].write_bytes(content[3])  # those of other clips
    kept[3].write_bytes(content[3][:1000] + bytes([content[3][1000] ^ 1]) + content[3][1001:])
    assert _found(capsys, words) == whole
    assert [path.read_bytes() for path in kept] == content, "and kept"


@pytest.mark.slow
def test_a_person_reads_an_interval_and_no_number(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few clips the number is mostly bias."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(_words(folders, "--few-clips")) == 0
    first, *warnings = capsys.readouterr().out.splitlines()
    assert first.startswith("rf-fvd between ")
    assert any("are fewer than 2048" in line for line in warnings)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "real={real}: has 6 clips, and the distance of fewer than 2048 is mostly a bias; give more, or add --few"),
        (("--part", "1/2"), "part=1/2: has no effect without --features"),
        (("--size", "33x33"), "size=33x33: is not in the table of scale schedules"),
        (("--num-frames", "2"), "num_frames=2: is too short for rf-fvd, which needs 3 frames"),
        (("--num-frames", "9"), "real={real}: has 0 videos that a clip can be taken from (6 left out: has"),
        (("--num-frames", "9", "--few-clips"), "real={real}: has 0 videos that a clip can be taken from"),
        (("--split", "a b"), "split=a b: does not fit into a signature"),
        (("--detector", "absent.pt"), "detector=absent.pt: is not a file"),
        (("--captions", "absent.csv"), "captions="),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    folders: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that names the option."""
    assert main(_words(folders, *words)) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(line.format(real=folders / "real"))
    assert all(one.startswith(("{", "left out, for example 0.mp4: has fewer than 9 frames")) for one in said[:-1])


@pytest.mark.slow
def test_a_published_protocol_is_measured_as_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The central 17 frames of wide videos, both sides scaled to 128; here of 3 clips instead of 2,048."""
    monkeypatch.setitem(protocol_table, "omni17", replace(protocol_table["omni17"], count=3))
    for index in range(3):
        clip = draw_clip(0, index, ClipBucket(schedule="32x32", num_frames=21))
        save_mp4(np.concatenate([clip, clip], axis=2), tmp_path / "real" / f"{index}.mp4", 25.0)
        save_mp4(clip, tmp_path / "made" / f"{index}.mp4", 8.0)
    asked = ("--detector", "rf-fvd", "--protocol", "omni17", "--split", "test01", "--few-clips")
    found = _found(capsys, ["evaluate", "fvd", str(tmp_path / "real"), str(tmp_path / "made"), *asked])
    assert found["signature"] == (
        "rf-fvd|det=0958da99|T17|128-stretched|n3x3|split=test01|clip=centre|resize=bicubic|seed0|v2"
    )
    assert found["protocol"] == "omni17"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--protocol", "tats"),
            "real=0: is fewer than the 2048 of protocol tats, and a repeated video is not a new sample",
        ),
        (("--protocol", "tats", "--split", "test01"), "split=test01: is not the real set of protocol tats"),
        (("--protocol", "omni17"), "split: is not fixed by protocol omni17"),
        (("--protocol", "magvit", "--fps", "8"), "fps=8.0: is fixed by protocol magvit"),
        (("--protocol", "paper"), "protocol=paper: is not accepted; use one of: custom, magvit"),
    ],
)
def test_a_published_protocol_is_kept_or_refused(
    folders: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number under a published name must be made as published."""
    given = (str(folders / "real"), str(folders / "made"), "--detector", "rf-fvd", "--few-clips")
    assert main(["evaluate", "fvd", *given, *words]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(line)
