"""What reaches Weights & Biases of a tokenizer's training: each step once, with its pictures."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.processes.preemption import Preempted
from videoar.cluster.ground.watching import WatchConfig
from videoar.data_pipeline.encoding.pictures import save_png
from videoar.pretrain.generate.video import save_mp4
from videoar.pretrain.record.tokenizer_reporter import TokenizerReporter

from .events import figures, pictures
from .wandb_files import steps_of, wandb_records


@pytest.mark.slow
def test_steps_that_no_checkpoint_holds_are_not_sent_twice(tmp_path: Path) -> None:
    """A run that is killed after step 5 resumes from step 4, and logs step 5 again; pictures do not overtake rows."""
    picture = save_png(np.zeros((8, 8, 3), np.uint8), tmp_path / "x.png")
    film = save_mp4(np.zeros((2, 16, 16, 3), np.uint8), tmp_path / "x.mp4", 8.0)
    parts = ((range(1, 6), KeyError), (range(5, 8), Preempted), (range(8, 9), None))
    for steps, end in parts:
        with contextlib.suppress(KeyError, Preempted):
            with TokenizerReporter(tmp_path, WatchConfig(wandb="offline"), {"name": "x"}, save_every=2) as reporter:
                for step in steps:
                    if step == 3:
                        reporter.show(step, {"frames": picture, "film": film})
                    reporter(step, 8, {"loss": 1 / step})
                if end is not None:
                    raise end
        time.sleep(1)  # its folders are named by the second
    logged = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime)
    assert [sorted(set(steps_of(wandb_records(path)))) for path in logged] == [[1, 2, 3, 4], [5, 6, 7], [8]]
    media = [path.suffix for path in (tmp_path / "wandb").rglob("media/**/*") if path.is_file()]
    assert sorted(media) == [".mp4", ".png"]


def test_tensorboard_has_each_step_of_a_resumed_training_once(tmp_path: Path) -> None:
    """The parts of a run write the same steps: TensorBoard would draw its curve twice."""
    picture = save_png(np.zeros((8, 16, 3), np.uint8), tmp_path / "x.png")
    for steps, loss in ((range(1, 6), 1.0), (range(5, 8), 0.5)):
        with TokenizerReporter(tmp_path, WatchConfig(tensorboard=True), {}, save_every=2) as reporter:
            for step in steps:
                if step % 3 == 0:
                    reporter.show(step, {"frames": picture})
                reporter(step, 8, {"loss": loss})
        time.sleep(1)  # its files are named by the second
    board = tmp_path / "tensorboard"
    assert figures(board / "train")["loss"] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 0.5), (6, 0.5), (7, 0.5)]
    shown = pictures(board / "samples")["frames"]
    assert [(one.step, one.height, one.width) for one in shown] == [(3, 8, 16), (6, 8, 16)]
    assert shown[0].encoded_image_string == picture.read_bytes()


def test_without_wandb_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is off unless the recipe asks for it: the package may not be there."""
    with TokenizerReporter(tmp_path, WatchConfig(), {}, save_every=1) as reporter:
        reporter.show(1, {"frames": tmp_path / "x.png"})
        reporter(1, 1, {"loss": 1.0})
    assert '"loss": 1.0' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
