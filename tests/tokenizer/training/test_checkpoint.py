from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.checkpoint import restore, save
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.state import TrainState, start
from videoar.tokenizer.training.step import train_step

from ..videos import video

CONFIG = preset_config("tiny", 16)
RECIPE = TokenizerTrainConfig(buckets=(TrainingBucket(schedule="32x32", num_frames=1),), steps=6, batch_size=1)


def stepped(count: int) -> TrainState:
    state = start(CONFIG, RECIPE, "cpu")
    for step in range(count):
        train_step(state, RECIPE, video(1, 32, 32, seed=step))
    return state


def test_moments_and_weights_come_back_to_the_bit(tmp_path: Path) -> None:
    """Adam without its moments takes a full step in any direction: the curve of a resumed run would jump."""
    saved, loaded = stepped(2), start(CONFIG, RECIPE, "cpu")
    save(saved, CONFIG, RECIPE, tmp_path)
    restore(loaded, CONFIG, dataclasses.replace(RECIPE, log_every=3, save_every=7), tmp_path)
    assert loaded.step == 2
    for state in (saved, loaded):
        train_step(state, RECIPE, video(1, 32, 32, seed=9))
    assert loaded.tokenizer.hash == saved.tokenizer.hash


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    """Checkpoints of a long run would fill the disk; one alone would be lost with a damaged disk block."""
    state = stepped(1)
    for step in (1, 2, 3):
        state.step = step
        path = save(state, CONFIG, RECIPE, tmp_path)
    assert path.name == "step-00000003"
    assert sorted(folder.name for folder in path.parent.iterdir()) == ["step-00000002", "step-00000003"]


def test_a_new_run_starts_at_the_beginning(tmp_path: Path) -> None:
    """Without a checkpoint nothing may change, and nothing may be missing."""
    state = start(CONFIG, RECIPE, "cpu")
    before = state.tokenizer.hash
    restore(state, CONFIG, RECIPE, tmp_path)
    assert (state.step, state.tokenizer.hash) == (0, before)
    assert all(torch.isfinite(parameter).all() for parameter in state.tokenizer.parameters())
