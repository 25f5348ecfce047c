"""What is behind the page, without a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.decoded import decoded
from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.serve import studio as module
from videoar.cluster.serve.studio import Checkpoint, Shown, Studio
from videoar.pretrain.config import TextConfig
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.generate.files import Progress
from videoar.pretrain.model.pretrained import ClipShape

FORM = {
    "prompt": "a boat",
    "schedule": "32x32",
    "num_frames": 9,
    "seed": 1,
    "guidance": "",
    "image": None,
    "video": None,
}
"""What a person has filled in who has changed nothing but the prompt and the seed."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_folder(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> VideoPipeline:
    return VideoPipeline.from_pretrained(weights)


@pytest.fixture
def studio(pipeline: VideoPipeline, tmp_path: Path) -> Studio:
    return Studio([Checkpoint("one", pipeline)], tmp_path, max_frames=17)


def _made(studio: Studio, **filled: Any) -> tuple[list[Shown], list[tuple[int, Progress]]]:
    steps: list[tuple[int, Progress]] = []
    return list(studio.make({**FORM, **filled}, lambda *step: steps.append(step))), steps


def test_frames_appear_before_the_video(studio: Studio, pipeline: VideoPipeline) -> None:
    """A page that shows nothing until the end looks broken; the frames are those of the Python interface."""
    shown, steps = _made(studio)
    assert [one.videos for one in shown[:-1]] == [(None,)] * 3, "the first frame, then four at a time"
    frames = pipeline("a boat", num_frames=9, seed=1).frames
    for one, last in zip(shown, (0, 4, 8), strict=False):
        assert np.array_equal(one.newest[0], frames[last])
    assert [(number, step.done, step.total) for number, step in steps] == [(0, done, 6) for done in range(1, 7)]
    (video,) = shown[-1].videos
    assert video is not None
    assert len(decoded(video)) == 9
    assert shown[-1].line.startswith("9 frames of 32x32, 1.12 s of video: took ")


def test_a_request_is_made_by_both_checkpoints(pipeline: VideoPipeline, tmp_path: Path) -> None:
    """Equal weights give equal videos of one seed; the line says which one is at work."""
    studio = Studio([Checkpoint("one", pipeline), Checkpoint("two", pipeline)], tmp_path, max_frames=17)
    shown, steps = _made(studio, num_frames=5)
    assert [one.line for one in shown[:-1]] == ["one: being made"] * 2 + ["two: being made"] * 2
    assert [number for number, _ in steps] == [0] * 4 + [1] * 4
    first, second = shown[-1].newest
    assert np.array_equal(first, second)
    assert None not in shown[-1].videos


@pytest.mark.parametrize(
    "given",
    [
        {"num_frames": 4},
        {"guidance": "nan"},
        {"guidance": "strong"},
        {"temperature": -1.0},
        {"temperature": 0.0, "top_p": 0.5},
        {"negative_prompt": "fog", "guidance": "1"},
        {"given_frames": 5},
        {"seed": -1},
        {"size": "64x64"},
        {"image": "absent.png"},
        {"image": "text.png"},
        {"image": "text.png", "num_frames": 1},
        {"video": "text.png"},
        {"image": "text.png", "video": "text.png"},
        {"label": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_generate_refuses_is_refused_in_the_same_line(
    studio: Studio,
    weights: Path,
    given: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two sets of rules would drift apart; and a person must not read the server's paths, but the name of a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    given = {"num_frames": 9, **given}
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["generate", str(weights), *([] if "label" in given else ["--prompt", ""]), *options]) == 2
    filled = {name: tmp_path / value if name in ("image", "video") else value for name, value in given.items()}
    filled = {"prompt": None if "label" in given else "", **filled}
    if "size" in filled:
        filled["schedule"] = filled.pop("size")
    (shown,), steps = _made(studio, **filled)
    assert shown.line == capsys.readouterr().err.strip()
    assert (shown.newest, shown.videos, steps) == ((None,), (None,), [])
    assert len(_made(studio, num_frames=5)[0]) == 3, "the next request is made"


def test_longer_videos_and_texts_than_allowed_are_refused(studio: Studio) -> None:
    """One request must not occupy the page for a day."""
    (shown,), _ = _made(studio, num_frames=21)
    assert shown.line == "num_frames=21: is more than this page makes; use 17 or less"
    (shown,), _ = _made(studio, prompt="a" * 2001)
    assert shown.line == "prompt=2001 letters: is too long; use 2000 or fewer"
    line = _made(studio, num_frames=13)[0][-1].line
    assert "clips of training had at most 9" in line, "an untrained length is said on the page, each time"


def test_what_breaks_meanwhile_is_a_line_and_a_defect_is_not(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is for the reader of the page; a defect is for the log."""

    def fail(error: Exception) -> Any:
        def making(*words: Any) -> Any:
            raise error

        return making

    monkeypatch.setattr(module, "making", fail(OSError(28, "No space left on device", "x.mp4")))
    (shown,), _ = _made(studio)
    assert shown.line.startswith("x.mp4: the disk is full")
    monkeypatch.setattr(module, "making", fail(KeyError("defect")))
    with pytest.raises(KeyError):
        _made(studio)


def test_a_stopped_video_leaves_nothing_and_old_ones_make_room(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that runs for weeks must not fill the disk."""
    running = studio.make(FORM, lambda *step: None)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "KEPT", 2)
    made = [_made(studio, num_frames=1)[0][-1].videos[0] for _ in range(3)]
    assert sorted(tmp_path.iterdir()) == sorted(path for path in made[1:] if path is not None)


@pytest.mark.parametrize(
    ("model", "shapes", "line"),
    [
        (replace(MODEL, text=TextConfig(kind="label", num_classes=2)), [clip_shape("32x32", 9)],
         "compare=two: was trained on labels, and the weights on prompts; compare weights of one kind"),
        (MODEL, [clip_shape("64x64", 9)],
         "compare=two: was trained on none of the frame sizes of the weights (32x32, 48x48); compare"),
    ],
)  # fmt: skip
def test_weights_that_no_request_suits_are_refused(
    pipeline: VideoPipeline, model: Any, shapes: Sequence[ClipShape], line: str, tmp_path: Path
) -> None:
    """Every request would fail at one of the two."""
    other = VideoPipeline.from_pretrained(export_folder(tmp_path / "two", model, *shapes))
    with pytest.raises(InputError) as refused:
        Studio([Checkpoint("one", pipeline), Checkpoint("two", other)], tmp_path, max_frames=17)
    assert str(refused.value).startswith(line)


def test_an_empty_field_is_a_default(studio: Studio) -> None:
    """An emptied number is None, and an empty prompt is an empty caption: both are what the form sends."""
    request = module.request_of({**FORM, "prompt": "", "seed": None, "num_frames": None, "long": ""})
    assert (request.prompt, request.seed, request.num_frames, request.long, request.guidance) == (
        "",
        0,
        None,
        None,
        None,
    )
    assert request.schedule == Request(schedule="32x32").schedule
