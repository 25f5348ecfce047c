from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seconds", "nan"), "seconds"),
        (("--seconds", "inf"), "seconds"),
        (("--seconds", "-1"), "seconds"),
        (("--out", "video.avi"), "out"),
        (("--seconds", "2", "--num-frames", "9"), "seconds"),
        (("--out", "."), "out"),
        (("--out", "square.mp4/video.mp4"), "out"),
        (("--out", "square.mp4"), "out"),
        (("--out", "new/video.mp4"), "weights"),
        (("--out", "square.mp4", "--force"), "weights"),
    ],
)
def test_a_video_that_cannot_be_made_is_refused_at_once(
    tmp_path: Path,
    words: tuple[str, ...],
    field: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found out after sampling, an unwritable file would cost the whole video."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "square.mp4").touch()
    assert main(["generate", "weights", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{field}=")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["square.mp4"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights that were trained on two sizes of different frame rates."""
    shapes = clip_shape("32x32", 9, fps=8.0), clip_shape("48x48", 5, fps=2.0)
    return str(export_folder(tmp_path_factory.mktemp("export"), MODEL, *shapes))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--size", "64x64"), "size=64x64: is not a frame size that these weights were trained on; use one of: 32x32"),
        (("--given-frames", "4"), "given_frames=4: is not 1 + 4n; use 1 or 5"),
        (("--given-frames", "5"), "given_frames=5: has no effect without a video; leave it out"),
        (("--num-frames", "1000000000"), "num_frames=1000000000: is above 100001; use 100001 or less"),
        (("--seconds", "1e8"), "seconds=100000000.0: is more than 100001 frames; use 12500.1 or less"),
        (("--guidance", "nan"), "guidance=nan: is not a number; correct the value"),
        (("--text-encoder", "t5"), "text_encoder=t5: is not read by weights of text kind bytes; leave it out"),
        (("--image", "a.png", "--num-frames", "1"), "image=a.png: is all of a result of one frame; ask for num_frames"),
        (("--temperature", "0", "--top-p", "0.5"), "top_p=0.5: has no effect with temperature 0; leave it out"),
    ],
)
def test_the_option_that_was_typed_is_named(
    weights: str, words: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--given-frames 4` reported as num_frames sends a person to an option that is not in the command."""
    out = tmp_path / "video.mp4"
    assert main(["generate", weights, "--prompt", "", "--out", str(out), *words]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not out.exists()


@pytest.mark.parametrize(("size", "fps", "frames"), [("32x32", 8.0, 17), ("48x48", 2.0, 5)])
def test_a_duration_is_of_the_frame_rate_of_its_size(
    weights: str, size: str, fps: float, frames: int, tmp_path: Path
) -> None:
    """Two seconds at the rate of another size would be a clip of 0.6 seconds."""
    out = str(tmp_path / "video.mp4")
    assert main(["generate", weights, "--prompt", "a", "--size", size, "--seconds", "2", "--out", out]) == 0
    with av.open(out) as film:
        assert film.streams.video[0].average_rate == fps
        assert len(list(film.decode(video=0))) == frames
