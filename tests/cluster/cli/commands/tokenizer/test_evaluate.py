from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.decoded import decoded
from videoar.cluster.entry import main
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.encoding.footage import open_clips
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.evaluate import reconstructed
from videoar.pretrain.generate.video import save_mp4, to_frames, to_tensor
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.evaluation.evaluate import Evaluator, evaluate, through_bits
from videoar.tokenizer.perceptual import Perceptual
from videoar.tokenizer.presets import PRESETS

from .conftest import BUCKET


@pytest.mark.slow
def test_an_untrained_preset_can_be_measured(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the lower bound that a trained tokenizer is compared with."""
    assert main(["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["num_clips"], found["size"], found["num_frames"], found["fps"]) == (1, "32x32", 5, 8.0)
    assert len(found["bit_entropy"]) == len(found["psnr_by_scale_db"]) == 2
    assert len(found["psnr_by_frame_db"]) == len(found["ssim_by_frame"]) == 5
    assert sum(found["entropy_histogram"]) == 48
    assert found["lpips"] is found["rfvd"] is None
    tokenizer = VideoTokenizer.preset("tiny")
    names = hashlib.sha256(b"square.mp4!@0.000000").hexdigest()[:8]
    assert found["signature"] == f"rec|weights={tokenizer.hash[:8]}|clips=1:{names}|32x32|T5|fps8|v1"


@pytest.mark.slow
def test_a_picture_of_originals_and_reconstructions(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A figure does not say what is lost; rows: the original, the reconstruction, the middle frame after each scale."""
    picture = tmp_path / "seen" / "sheet.png"
    words = ["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "5"]
    assert main([*words, "--picture", str(picture), "--skip-scales"]) == 0
    assert json.loads(capsys.readouterr().out)["psnr_by_scale_db"] is None
    pixels = decoded(picture)[0]
    assert pixels.shape == (3 * 36, 5 * 36, 3)
    (original,) = open_clips(SourceConfig(path=str(clips)), BUCKET)
    rebuilt = to_frames(through_bits(VideoTokenizer.preset("tiny"), to_tensor(original)).decoded)[0]
    for frame in range(5):
        across = slice(36 * frame, 36 * frame + 32)
        assert np.array_equal(pixels[:32, across], original[frame])
        assert np.abs(pixels[36:68, across].astype(int) - rebuilt[frame]).max() <= 1
    assert np.abs(pixels[72:104, 36:68].astype(int) - rebuilt[2]).max() <= 1  # after the second and last scale
    assert not pixels[72:, 72:].any()
    assert main([*words, "--picture", str(picture)]) == 2
    assert "exists; name another file, or add --force to replace it" in capsys.readouterr().err
    assert main([*words, "--picture", str(tmp_path / "sheet.jpg")]) == 2
    assert "is not a .png file; name one" in capsys.readouterr().err


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
    """Means over no clips would be NaN, which is not JSON. The remedy names options: this command has no bucket."""
    assert main(["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "17"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"clips={clips}: gives no clip of 17 frames at 8 frames/s (1 x is shorter than one clip); "
        "give other files, or change --num-frames, --fps or --start-fraction"
    )


def test_an_image_tokenizer_measures_pictures_only(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It failed after every clip had been chosen, which takes hours in a large folder."""
    VideoTokenizer(replace(PRESETS["tiny"], temporal_kernel=1)).save(tmp_path / "image")
    words = ["tokenizer", "evaluate", str(tmp_path / "image"), str(clips), "--size", "32x32"]
    assert main([*words, "--num-frames", "5"]) == 2
    problem = "does not fit an image tokenizer, which codes one frame at a time"
    remedy = "add --num-frames 1, or use a video tokenizer"
    assert capsys.readouterr().err == f"num_frames=5: {problem}; {remedy}\n"
    assert main([*words, "--num-frames", "1", "--max-clips-per-source", "1", "--skip-scales"]) == 0


def test_a_file_in_place_of_the_folder(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what was typed, and no field of a recipe."""
    film = clips / "square.mp4"
    assert main(["tokenizer", "evaluate", "tiny", str(film), "--size", "32x32"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"clips={film}: is not a folder; give the folder that holds the clips"
    )


@pytest.mark.slow
def test_distances_that_need_other_networks(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are null unless weights are named, and never a number of another network."""
    save_mp4(draw_clip(0, 1, BUCKET), clips / "disc.mp4", BUCKET.fps)
    words = ["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "5", "--skip-scales"]
    monkeypatch.setattr(Perceptual, "from_files", lambda files, field: Perceptual())
    weights = ["--lpips", str(tmp_path / "vgg16.pth"), str(tmp_path / "lpips.pth")]
    assert main([*words, "--detector", "rf-fvd", *weights]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["lpips"]["low"] <= found["lpips"]["value"] <= found["lpips"]["high"]
    assert (found["rfvd"]["name"], found["rfvd"]["num_real"]) == ("rf-fvd", 2)
    assert "rf-fvd|det=" in found["rfvd"]["signature"]
    assert any("not an FVD" in warning for warning in found["rfvd"]["warnings"])
    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        patch.setenv("NO_COLOR", "1")
        assert main([*words, "--detector", "rf-fvd"]) == 0
    (told,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("rfvd"))
    assert re.match(r"rfvd +rf-fvd between \S+ and \S+  rf-fvd\|det=.*; warning: ", told), "of two clips no number"
    assert main([*words, "--detector", str(tmp_path / "i3d.pt")]) == 2
    assert "i3d.pt: is not a file" in capsys.readouterr().err


@pytest.mark.slow
def test_parts_give_the_figures_of_one_process(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rerun measures nothing again, and makes the same picture; rows of other measures are refused."""
    monkeypatch.setattr(reconstructed, "GROUP", 2)
    for number in range(1, 5):
        save_mp4(draw_clip(0, number, BUCKET), clips / f"{number}.mp4", BUCKET.fps)
    words = ["tokenizer", "evaluate", "tiny", str(clips), "--size", "32x32", "--num-frames", "5"]
    words += ["--detector", "rf-fvd"]

    def found(*more: str) -> dict[str, Any]:
        assert main([*words, *more]) == 0
        return json.loads(capsys.readouterr().out)

    whole = found("--picture", str(tmp_path / "whole.png"))
    tokenizer = VideoTokenizer.preset("tiny")
    alone = [evaluate(tokenizer, [to_tensor(clip)]) for clip in open_clips(SourceConfig(path=str(clips)), BUCKET)]
    for name in ("psnr_db", "ssim", "psnr_of_motion_db"):
        of_clips = sorted(getattr(of_one, name) for of_one in alone)
        assert whole[name]["value"] == pytest.approx(np.mean(of_clips), rel=1e-4)
        assert of_clips[0] < whole[name]["low"] < whole[name]["value"] < whole[name]["high"] < of_clips[-1]
    keep = ["--keep", str(tmp_path / "kept")]
    parts = [found(*keep, "--part", f"{number}/2") for number in (1, 2)]
    assert [(part["clips"], part["of"]) for part in parts] == [(3, 5), (2, 5)]
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "add", None)  # whoever measures a clip fails
        assert found(*keep, "--picture", str(tmp_path / "kept.png")) == whole
    assert (tmp_path / "kept.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert main([*words, *keep, "--skip-scales"]) == 2
    assert f"keep={tmp_path / 'kept'}: holds figures of rec|weights=" in capsys.readouterr().err
    assert main([*words, *keep, "--part", "1/2", "--picture", str(tmp_path / "part.png")]) == 2
    assert "needs the figures of all clips" in capsys.readouterr().err
