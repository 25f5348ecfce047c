"""`videoar evaluate vbench-export`: parts, a rerun, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.decoded import decoded
from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.data_pipeline.encoding.pictures import save_png
from videoar.pretrain.config import TextConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(export_folder(tmp_path_factory.mktemp("export"), MODEL, clip_shape("32x32", 5)))


@pytest.mark.slow
def test_parts_and_a_rerun_make_what_is_missing(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A video that is there is not made again, and none of other weights or sampling is put next to it."""
    prompts, one, two = tmp_path / "prompts.txt", tmp_path / "one", tmp_path / "two"
    prompts.write_text("a cat\na dog\n\n")
    asked = ["evaluate", "vbench-export", weights, str(prompts)]
    assert main([*asked, str(one)]) == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 10
    names = {f"a {animal}-{index}.mp4" for animal in ("cat", "dog") for index in range(5)}
    assert {path.name for path in one.iterdir()} == names
    assert main([*asked, str(two), "--part", "1/2"]) == 0
    assert len(list(two.iterdir())) == 5
    kept = two / "a cat-0.mp4"
    kept.write_bytes(b"kept")
    assert main([*asked, str(two), "--part", "2/2"]) == 0
    assert main([*asked, str(two)]) == 0
    assert kept.read_bytes() == b"kept"
    assert {path.name for path in two.iterdir()} == names
    assert len({path.read_bytes() for path in one.iterdir()}) == 10
    capsys.readouterr()
    assert main([*asked, str(two), "--seed", "1"]) == 2
    assert "|seed0, but this command makes those of vbench|" in capsys.readouterr().err
    prompts.write_text("a dog\na cat")
    assert main([*asked, str(two)]) == 0, "the same prompts in another order"
    prompts.write_text("a cat\na bird")
    capsys.readouterr()
    assert main([*asked, str(two)]) == 2
    said = capsys.readouterr().err
    assert "holds videos of vbench|videos10:" in said
    assert said.count("\n") == 1
    assert {path.name for path in two.iterdir()} == names, "VBench would judge the videos of both lists"


@pytest.mark.parametrize(
    ("content", "words", "line"),
    [
        ('[{"prompt": "a"}]', (), "is not a list of entries with prompt_en and dimension"),
        (
            '[{"prompt_en": "a red square", "dimension": 5}]',
            (),
            "is not a list of entries with prompt_en and dimension",
        ),
        ('[{"prompt_en": "a red square", "dimension": [5]}]', (), "is not a list of entries with prompt_en and"),
        ('[{"prompt_en": 5, "dimension": "scene"}]', (), "is not a list of entries with prompt_en and dimension"),
        ('{"prompt_en": "a", "dimension": []}', (), "is not a list of entries with prompt_en and dimension"),
        ("[" * 100_000, (), "is not JSON"),
        ("\n \n", (), "has no prompt"),
        ("this and/or that", (), "cannot be the name of a file"),
        ("x" * 240, (), "is too long for the name of a file"),
        ("a cat", ("--part", "3/2"), "part='3/2': is not a part; write NUMBER/COUNT, such as 1/8 ... 8/8"),
        ("a cat", ("--part", "6/6"), "part=6/6: has none of the 5 videos; use fewer parts"),
        ("a cat", ("--size", "64x64"), "size=64x64: is not a frame size"),
        ("a cat", ("--top-p", "2"), "top_p=2.0: is above 1"),
        ("a cat", ("--graphs",), "graphs=True: has no effect on the device cpu: it records CUDA graphs; leave it out"),
    ],
)
def test_what_cannot_be_made_is_refused(
    weights: str,
    tmp_path: Path,
    content: str,
    words: tuple[str, ...],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a folder exists, in a line that names the option."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    prompts = tmp_path / "prompts"
    prompts.write_text(content)
    assert main(["evaluate", "vbench-export", weights, str(prompts), str(tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["prompts"]


def test_folders_of_others_and_labels_are_refused(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VBench reads every file of the folder as a video."""
    prompts = tmp_path / "prompts"
    prompts.write_text("a cat")
    assert main(["evaluate", "vbench-export", weights, str(prompts), str(tmp_path)]) == 2
    assert "has files, and no" in capsys.readouterr().err
    model = replace(MODEL, text=TextConfig(kind="label", num_classes=4))
    labels = export_folder(tmp_path / "labels", model, clip_shape("32x32", 5))
    assert main(["evaluate", "vbench-export", str(labels), str(prompts), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("weights=label: were trained on labels")


@pytest.mark.slow
def test_vbench_i2v_animates_the_picture_of_each_prompt(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five videos of each prompt begin with its picture; they are not put next to videos without pictures."""
    prompts, images, out = tmp_path / "info.json", tmp_path / "1-1", tmp_path / "out"
    prompts.write_text(json.dumps([{"prompt_en": "a pier, camera static", "dimension": ["camera_motion"]}]))
    images.mkdir()
    asked = ["evaluate", "vbench-export", weights, str(prompts), str(out)]
    assert main([*asked, "--images", str(images)]) == 2
    assert "a pier.jpg: is not there, and 1 of 1 prompts lack a picture" in capsys.readouterr().err
    save_png(np.full((32, 32, 3), 200, np.uint8), images / "a pier.jpg")
    assert main([*asked, "--images", str(images), "--num-frames", "1"]) == 2
    assert "is the whole of a result of one frame" in capsys.readouterr().err
    assert not out.exists()
    assert main([*asked, "--images", str(images)]) == 0
    assert "|images=1-1|" in json.loads(capsys.readouterr().out)["signature"]
    films = [decoded(out / f"a pier, camera static-{index}.mp4") for index in range(5)]
    first, last = (np.stack([film[place] for film in films]).astype(int) for place in (0, -1))
    assert np.abs(first - first[0]).max() <= 16, "one picture, through the tokenizer and the encoder"
    assert np.abs(last - last[0]).max() > 16
    assert main(asked) == 2
