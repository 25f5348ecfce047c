"""What training shows: the same clips at every step, with the figures of what is seen."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.decoded import decoded
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import to_frames
from videoar.pretrain.record.reconstructions import HELD_STEP, Reconstructions, bit_map
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.evaluation.evaluate import evaluate, through_bits
from videoar.tokenizer.pixels import from_bytes
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket

FILM = TrainingBucket(schedule="32x32", num_frames=5)
IMAGE = TrainingBucket(schedule="48x48", num_frames=1, batch_size=1)
RECIPE = TokenizerTrainConfig(buckets=(FILM, IMAGE), steps=4, batch_size=3)
TINY = VideoTokenizer.preset("tiny", latent_dim=16)


class Drawings:
    """Clips that depend on step and number only; it notes what it was asked for."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, step: int, samples: range) -> torch.Tensor:
        self.steps.append(step)
        drawn = [draw_clip(step % 1000, sample, RECIPE.bucket(step)) for sample in samples]
        return from_bytes(torch.from_numpy(np.stack(drawn)))


def test_the_same_clips_are_shown_at_every_step(tmp_path: Path) -> None:
    """Other clips at each step would hide a small gain, and clips of a training step flatter."""
    clips = Drawings()
    show = Reconstructions(clips, RECIPE, tmp_path, clips_per_bucket=2)
    figures = [show(step, TINY) for step in (100, 200)]
    assert figures[0] == figures[1]
    assert clips.steps == [2 * HELD_STEP, 2 * HELD_STEP + 1]
    names = [f"step-{step:08d}{end}" for step in (100, 200) for end in ("-5x32x32.mp4", "-bits.png", ".png")]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == names
    again = Reconstructions(Drawings(), RECIPE, tmp_path / "resumed", clips_per_bucket=2)
    assert again(100, TINY) == figures[0]


def test_the_figures_are_those_of_the_clips_that_are_seen(tmp_path: Path) -> None:
    """The picture and the figures of one step belong together."""
    show = Reconstructions(Drawings(), RECIPE, tmp_path, clips_per_bucket=2)
    figures = show(7, TINY)
    films, images = (Drawings()(2 * HELD_STEP + i, range(2 - i)) for i in range(2))
    found = [evaluate(TINY, [films]), evaluate(TINY, [images])]
    assert figures["shown_psnr_db"] == pytest.approx((found[0].psnr_db + found[1].psnr_db) / 2, abs=1e-3)
    assert figures["shown_ssim"] == pytest.approx((found[0].ssim + found[1].ssim) / 2, abs=1e-3)
    assert figures["shown_dead_bits"] == pytest.approx((found[0].dead_bits + found[1].dead_bits) / 2, abs=1e-4)
    assert 0 <= figures["shown_bit_entropy"] <= 1
    (sheet,) = decoded(tmp_path / "samples" / "step-00000007.png")
    assert sheet.shape == (4 * 36 + 2 * 52, 5 * 36, 3)
    assert np.array_equal(sheet[36 * 2 : 36 * 2 + 32, 36 : 36 + 32], to_frames(films)[1, 1])
    rebuilt = to_frames(through_bits(TINY, films).decoded)[1, 1]
    assert np.abs(sheet[36 * 3 : 36 * 3 + 32, 36 : 36 + 32].astype(int) - rebuilt).max() <= 1
    assert decoded(tmp_path / "samples" / "step-00000007-5x32x32.mp4").shape == (5, 64, 64, 3)


def test_a_dead_bit_is_seen() -> None:
    """A fair coin is white, a constant one strongly coloured; tables of two buckets are apart."""
    p = torch.full((2, 3), 0.5, dtype=torch.float64)
    p[:, 1], p[:, 2] = 0.0, 1.0
    pixels = bit_map([p, p[:1]])
    assert pixels.shape == (8 * 4, 8 * 3, 3)
    cells = pixels[4::8, 4::8]
    assert cells[0, 0].tolist() == [247, 247, 247]
    assert cells[:2, 1].tolist() == [[33, 102, 172]] * 2
    assert cells[[0, 1, 3], 2].tolist() == [[178, 24, 43]] * 3
    assert cells[2].tolist() == [[127, 127, 127]] * 3


def test_a_picture_that_cannot_be_written_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Days of training must not end because of a picture."""
    show = Reconstructions(Drawings(), RECIPE, tmp_path, clips_per_bucket=1)
    (tmp_path / "samples").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert show(1, TINY)["shown_psnr_db"] > 0
    assert "no pictures of step 1" in caplog.text
