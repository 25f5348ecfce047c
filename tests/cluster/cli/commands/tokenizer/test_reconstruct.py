from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.decoded import decoded
from videoar.cluster.entry import main
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.encoding.footage import open_clips
from videoar.data_pipeline.encoding.pictures import save_png
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import save_mp4, to_frames, to_tensor
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.evaluation.evaluate import through_bits
from videoar.tokenizer.presets import PRESETS

from .conftest import BUCKET

SIZE = ("--size", "32x32")


@pytest.mark.slow
def test_a_reconstruction_is_beside_its_original(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen side by side, what a tokenizer loses needs no figure."""
    out = tmp_path / "both.mp4"
    words = ["tokenizer", "reconstruct", "tiny", str(clips / "square.mp4"), str(out), *SIZE]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [str(out)]
    assert decoded(out).shape == (5, 32, 64, 3)
    out.write_bytes(b"the only copy of something")
    assert main(words) == 2
    assert capsys.readouterr().err == f"out={out}: exists; name another file, or add --force to replace it\n"
    assert out.read_bytes() == b"the only copy of something"
    assert main([*words, "--force"]) == 0
    assert decoded(out).shape == (5, 32, 64, 3)


@pytest.mark.slow
def test_a_streamed_video_equals_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that is lost between parts shows as a seam every four frames."""
    bucket = ClipBucket(schedule="32x32", num_frames=25)
    film = save_mp4(draw_clip(0, 0, bucket), tmp_path / "clips" / "film.mp4", bucket.fps)
    (whole,) = open_clips(SourceConfig(path=str(film.parent)), bucket)
    written: list[np.ndarray] = []
    monkeypatch.setattr("videoar.pretrain.generate.video.save_mp4", lambda frames, *_: written.extend(frames))
    words = ["tokenizer", "reconstruct", "tiny", str(film), str(tmp_path / "both.mp4"), *SIZE]
    assert main(words) == 0
    left, right = np.split(np.stack(written), 2, axis=2)
    assert np.array_equal(left, whole)
    rebuilt = to_frames(through_bits(VideoTokenizer.preset("tiny"), to_tensor(whole)).decoded)[0]
    assert np.abs(right.astype(int) - rebuilt).max() <= 1
    written.clear()
    assert main([*words, "--start", "1", "--seconds", "1.1"]) == 0
    assert len(written) == 9
    assert np.array_equal(np.stack(written)[:, :, :32], whole[8:17])


@pytest.mark.slow
def test_a_picture_gives_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An MP4 of one frame is what nobody asked for, and an encoder's error no answer to a wrong name."""
    pixels = draw_clip(0, 0, BUCKET)[0]
    given, out = save_png(pixels, tmp_path / "given.png"), tmp_path / "new" / "both.png"
    assert main(["tokenizer", "reconstruct", "tiny", str(given), str(out), *SIZE]) == 0
    (found,) = decoded(out)
    assert found.shape == (32, 64, 3)
    assert np.array_equal(found[:, :32], pixels)
    capsys.readouterr()
    assert main(["tokenizer", "reconstruct", "tiny", str(given), str(tmp_path / "both.mp4"), *SIZE]) == 2
    assert capsys.readouterr().err.endswith("both.mp4: is not a name for a picture; name a .png file\n")


def test_an_image_tokenizer_takes_pictures_only(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message named `4 frames`, a number that nobody had given."""
    VideoTokenizer(replace(PRESETS["tiny"], temporal_kernel=1)).save(tmp_path / "image")
    film, out = clips / "square.mp4", tmp_path / "both.mp4"
    assert main(["tokenizer", "reconstruct", str(tmp_path / "image"), str(film), str(out), *SIZE]) == 2
    problem, remedy = "is a video, which does not fit an image tokenizer", "give a picture, or use a video tokenizer"
    assert capsys.readouterr().err.splitlines()[-1] == f"video={film}: {problem}; {remedy}"
    assert not out.exists()
