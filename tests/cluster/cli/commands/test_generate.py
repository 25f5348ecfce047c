from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.decoded import decoded
from tests.exported import MODEL, as_in_the_hubs_cache, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.pretrain.generate import Request, VideoPipeline


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seconds", "nan"), "seconds"),
        (("--seconds", "inf"), "seconds"),
        (("--seconds", "-1"), "seconds"),
        (("--out", "video.avi"), "out"),
        (("--seconds", "2", "--num-frames", "9"), "seconds"),
        (("--out", "."), "out"),
        (("--out", "video.gif", "--format", "png"), "out"),
        (("--prompt", "a", "--prompts", "p.txt"), "prompt"),
        (("--batch", "2"), "batch"),
        (("--prompts", "absent.txt"), "prompts"),
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
        (
            ("--image", "a.png", "--num-frames", "1"),
            "image=a.png: is the whole of a result of one frame; ask for num_frames",
        ),
        (("--overlap", "5"), "overlap=5: has no effect without long=reencode; leave it out"),
        (("--negative-prompt", "b", "--guidance", "1"), "negative_prompt=b: has no effect with guidance 1; leave it"),
        (("--temperature", "0", "--top-p", "0.5"), "top_p=0.5: has no effect with temperature 0; leave it out"),
    ],
)
def test_the_option_that_was_typed_is_named(
    weights: str,
    words: tuple[str, ...],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--given-frames 4` reported as num_frames sends a person to an option that is not in the command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
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


def test_a_path_on_stdout_and_the_time_on_stderr(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`open $(videoar generate ...)` gets the path alone; who waits sees frame, scale, what is left, and the end."""
    out = tmp_path / "video.gif"
    words = ("--prompt", "a", "--num-frames", "13", "--long", "reencode", "--out", str(out), "--guidance", "1")
    assert main(["generate", weights, *words]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    *_, progress, remark, last = said.err.splitlines()
    assert remark.startswith("the tokenizer is untrained: pictures are noise; ")
    assert json.loads(progress) == {
        "task": "generate", "done": 8, "total": 8, "frame": 4, "scale": 2, "batch": 0, "eta_s": 0.0
    }  # fmt: skip
    assert re.fullmatch(r"13 frames of 32x32, 1\.62 s of video: took [\d.]+ s", last)
    assert len(decoded(out)) == 13


def test_a_file_of_prompts_is_made_once_and_resumed(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbered, in batches, each equal to the video made alone; what is there stays as it is."""
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "videos"
    lines = ['{"prompt": "a"}', '{"prompt": "boat", "seed": 9}', '{"prompt": "", "size": "48x48", "num_frames": 5}']
    prompts.write_text("\n".join(lines))
    command = ["generate", weights, "--prompts", str(prompts), "--out", str(out), "--format", "frames", "--seed", "4"]
    command += ["--batch", "2", "--num-frames", "5"]
    assert main(command) == 0
    names = [str(out / f"000{number}") for number in range(3)]
    assert capsys.readouterr().out.splitlines() == names
    assert [len(list(Path(name).iterdir())) for name in names] == [5, 5, 5]
    alone = tmp_path / "alone"
    single = ["--prompt", "boat", "--seed", "9", "--num-frames", "5", "--out", str(alone), "--format", "frames"]
    assert main(["generate", weights, *single]) == 0
    pair = (np.stack([decoded(path)[0] for path in sorted(folder.iterdir())]) for folder in (out / "0001", alone))
    assert np.abs(next(pair).astype(int) - next(pair)).max() <= 1
    shutil.rmtree(out / "0001")
    before = (out / "0000" / "00000.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == names[1:2]
    assert said.err.startswith("2 of 3 videos exist already\n")
    assert said.err.count("the tokenizer is untrained: pictures are noise; ") == 1
    assert said.err.splitlines()[-1].startswith("5 frames of 32x32, 0.625 s of video: took ")
    assert (out / "0000" / "00000.png").stat().st_mtime_ns == before
    prompts.write_text("another\n")
    assert main([*command[:3], str(prompts), *command[4:]]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('"size": "64x64"', "size=64x64: is not a frame size"),
        ('"image": "absent.png"', "image="),
        ('"video": "absent.mp4"', "video="),
    ],
)
def test_a_line_that_the_weights_cannot_make_is_named_first(
    weights: str, tmp_path: Path, given: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after the videos of the 799 lines before it."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(f'{{"prompt": "a"}}\n\n{{"prompt": "a", {given}}}\n')
    assert main(["generate", weights, "--prompts", str(prompts), "--out", str(tmp_path / "videos")]) == 2
    assert capsys.readouterr().err.startswith(f"prompts (line 3): {message}")
    assert not (tmp_path / "videos").exists()


def test_a_picture_that_is_none_is_reported_with_its_line(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of 800 lines gives it is not found by hand."""
    prompts, picture = tmp_path / "prompts.jsonl", tmp_path / "a.png"
    picture.write_text("this is text")
    prompts.write_text('{"prompt": "a", "size": "48x48", "num_frames": 5}\n\n{"prompt": "a", "image": "a.png"}\n')
    assert main(["generate", weights, "--prompts", str(prompts), "--out", str(tmp_path / "videos")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"prompts (line 3): image={picture}: cannot be read (")


def test_a_full_disk_is_reported_with_the_folder(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a write names no file."""
    (tmp_path / "prompts.txt").write_text("a\n")

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("videoar.pretrain.generate.prompts.write_atomically", full)
    out = tmp_path / "videos"
    assert main(["generate", weights, "--prompts", str(tmp_path / "prompts.txt"), "--out", str(out)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"{out}: the disk is full; free some space and run the same command again"


@pytest.mark.parametrize(("kind", "name"), [("gif", "video.gif"), ("frames", "video")])
def test_without_a_name_the_format_decides(
    weights: str, tmp_path: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--format gif` alone is not refused because of a name that nobody typed."""
    monkeypatch.chdir(tmp_path)
    assert main(["generate", weights, "--prompt", "a", "--num-frames", "1", "--size", "48x48", "--format", kind]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_run_is_not_weights_and_the_command_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train` prints the folder of its run, and the next thing that is typed is `generate` with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/my run").mkdir(parents=True)
    (tmp_path / "runs/my run/config.yaml").touch()
    assert main(["generate", "runs/my run", "--prompt", "a"]) == 2
    export = "run: videoar export 'runs/my run' 'weights/my run' and give weights/my run"
    assert capsys.readouterr().err == f"weights=runs/my run: is a run, not weights; {export}\n"
    (tmp_path / "runs/my run/tokenizer").mkdir()
    assert main(["evaluate", "world", "runs/my run"]) == 2
    assert "give the weights of a generator" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "told"), [((), True), (("--long", "sliding"), False)])
def test_a_video_longer_than_any_clip_of_training_is_told(
    weights: str, more: tuple[str, ...], told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is made, of positions that were never trained: whoever has not asked for that must know."""
    words = ["--prompt", "a", "--size", "32x32", "--num-frames", "13", "--out", str(tmp_path / "x.mp4"), *more]
    assert main(["generate", weights, *words]) == 0
    assert ("13 frames of 32x32: clips of training had at most 9; " in caplog.text) == told
    assert len(decoded(tmp_path / "x.mp4")) == 13


def test_bf16_on_a_cpu(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers that a GPU computes with can be looked at without one."""
    check, seen = VideoPipeline.check, []

    def checked(pipeline: VideoPipeline, request: Request) -> None:
        seen.append(pipeline.model.input.weight.dtype)
        check(pipeline, request)

    monkeypatch.setattr(VideoPipeline, "check", checked)
    words = ["--prompt", "a boat", "--size", "32x32", "--num-frames", "5", "--out"]
    for name in ("float32", "bf16"):
        assert main(["generate", weights, *words, str(tmp_path / f"{name}.mp4"), "--dtype", name]) == 0
        assert decoded(tmp_path / f"{name}.mp4").shape == (5, 32, 32, 3)
    assert list(dict.fromkeys(seen)) == [torch.float32, torch.bfloat16]


def test_a_download_of_the_hub_is_a_folder_of_weights(weights: str, tmp_path: Path) -> None:
    """Its files are links out of the folder, to names without a suffix."""
    snapshot = as_in_the_hubs_cache(Path(weights), tmp_path / "hub")
    words = ["--prompt", "a boat", "--size", "32x32", "--num-frames", "5", "--format", "frames", "--out"]
    for name, folder in (("folder", weights), ("cache", str(snapshot))):
        assert main(["generate", folder, *words, str(tmp_path / name)]) == 0
    made = [[path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in ("folder", "cache")]
    assert made[0] == made[1]
    assert len(made[0]) == 5
