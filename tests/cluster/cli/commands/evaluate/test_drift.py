"""`videoar evaluate bits`, `drift` and `recovery`: a JSON line with a signature, from a folder and shards; refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_pipeline.jobs import config, make_shards, shapes
from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import save_mp4
from videoar.tokenizer.config import ClipBucket


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained on pictures first, so that their size is not the default."""
    sizes = clip_shape("48x48", 1), clip_shape("32x32", 9)
    return str(export_folder(tmp_path_factory.mktemp("export"), MODEL, *sizes))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(3):
        save_mp4(draw_clip(0, i, ClipBucket(schedule="32x32", num_frames=9)), folder / f"{i}.mp4", 8.0)
    return str(folder)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    make_shards(config(shapes(num_clips=4, num_frames=9)), out)
    return out


def _found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_drift_of_a_folder_and_of_shards(
    weights: str, clips: str, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default half of the latent frames are given, rounded up; equal clips and seeds give equal figures."""
    found = _found(capsys, "drift", weights, clips, "--given-frames", "1", "--seed", "2")
    assert (found["num_clips"], found["size"], found["num_frames"], found["from"]) == (3, "32x32", 9, "pixels")
    assert len(found["psnr_db"]["generated"]["by_frame"]["low"]) == 8
    assert (
        "|T9@8fps|window2|given1|temperature1|top_p1|guidance=5,4,4,3|batch8|cpu,float32|seed2|v2" in found["signature"]
    )
    of_shards = _found(capsys, "drift", weights, str(shards / "shapes"), "--max-clips", "2")
    assert (of_shards["num_clips"], of_shards["from"], of_shards["given_frames"]) == (2, "shards", 5)
    assert of_shards == _found(capsys, "drift", weights, str(shards / "shapes"), "--max-clips", "2")


@pytest.mark.slow
def test_recovery_of_a_folder_and_of_shards(
    weights: str, clips: str, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shares that are asked for, by scale."""
    found = _found(capsys, "recovery", weights, clips, "--flip-ratios", "0.1", "0.5")
    assert list(found["flipped"]) == ["0.1", "0.5"]
    assert len(found["flipped"]["0.5"]["drop"]["by_scale"]["value"]) == 2
    assert found["signature"].startswith("recovery|weights=")
    of_shards = _found(capsys, "recovery", weights, str(shards / "shapes"), "--num-frames", "5")
    assert (of_shards["num_clips"], of_shards["num_frames"]) == (4, 5)
    assert list(of_shards["flipped"]) == ["0.05", "0.1", "0.2", "0.3"]


@pytest.mark.slow
def test_bits_of_a_folder_and_of_shards(
    weights: str, clips: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By frame and scale, in figures and as a picture; the majority is that of training clips, if they are given."""
    picture = tmp_path / "bits.svg"
    found = _found(capsys, "bits", weights, clips, "--picture", str(picture))
    assert np.shape(found["accuracy"]["value"]) == np.shape(found["cross_entropy"]["value"]) == (3, 2)
    assert found["signature"].startswith("bits|weights=")
    assert "cross-entropy, nats a bit" in picture.read_text()
    own = _found(capsys, "bits", weights, str(shards / "shapes"), "--max-clips", "2")
    other = _found(capsys, "bits", weights, str(shards / "shapes"), "--max-clips", "2", "--reference", clips)
    assert (own["num_samples"], own["from"]) == (2, "shards")
    assert own["accuracy"] == other["accuracy"]
    assert own["majority"] != other["majority"]
    assert own["signature"] != other["signature"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("bits", "CLIPS", "--picture", "no/x.png"), "picture=no/x.png: is in a folder that does not exist"),
        (("bits", "CLIPS", "--picture", "x.pdf"), "picture=x.pdf: is neither a PNG nor an SVG"),
        (("bits", "CLIPS", "--reference", "no/folder"), "reference=no/folder: "),
        (("drift", "CLIPS", "--given-frames", "9"), "given_frames=9: leaves nothing to generate of clips of 9 frames"),
        (("drift", "CLIPS", "--size", "48x48"), "size=48x48: means single pictures, and this command"),
        (("drift", "CLIPS", "--num-frames", "1"), "num_frames=1: means single pictures"),
        (("drift", "CLIPS", "--guidance", "much"), "guidance=much: "),
        (("drift", "SHARDS/shapes", "--start-fraction", "0.5"), "start_fraction=0.5: is for folders of videos"),
        (("drift", "SHARDS"), "holds no finished dataset (no dataset.json); give one of its datasets: shapes"),
        (("recovery", "SHARDS/shapes", "--num-frames", "17"), "holds no clip of 32x32 with 5 latent frames"),
        (("recovery", "CLIPS", "--flip-ratios", "0.1", "0.1"), "flip_ratios=0.1 0.1: are not distinct"),
        (("recovery", "CLIPS", "--flip-ratios"), "flip_ratios=''"),
        (("recovery", "CLIPS", "--flip-ratios", "0.7"), "flip_ratios.0=0.7: is above 0.5"),
        (("recovery", "no/folder"), "clips=no/folder: "),
        (
            ("recovery", "CLIPS", "--num-frames", "17"),
            "; give longer videos, of at least 8 frames/s, or a smaller --num-frames",
        ),
        (("bits", "CLIPS", "--start-fraction", "0.9"), "or a smaller --num-frames or --start-fraction"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    weights: str, clips: str, shards: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that names the option."""
    command, where, *rest = words
    place = where.replace("CLIPS", clips).replace("SHARDS", str(shards))
    assert main(["evaluate", command, weights, place, *rest]) == 2
    said = capsys.readouterr().err.splitlines()
    assert line in said[-1]
    assert "bucket." not in said[-1], "a field of recipes"
    assert [one for one in said if not one.startswith(("{", "left out, for example "))] == said[-1:]
