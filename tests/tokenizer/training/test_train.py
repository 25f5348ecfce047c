"""The training loop: it learns, resumes to the digit, and never leaves half a checkpoint."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.processes.preemption import Preempted
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import (
    AdversarialConfig,
    TokenizerLossConfig,
    TokenizerTrainConfig,
    TrainingBucket,
)
from videoar.tokenizer.training.state import start
from videoar.tokenizer.training.step import learning_rate
from videoar.tokenizer.training.train import train

CONFIG = preset_config("tiny", 16)
RECIPE = TokenizerTrainConfig(
    buckets=(TrainingBucket(schedule="32x32", num_frames=5),),
    steps=6,
    batch_size=2,
    learning_rate=1e-3,
    warmup_steps=2,
    final_fraction=0.1,
    log_every=1,
    save_every=2,
)

WHOLE = dataclasses.replace(
    RECIPE,
    loss=TokenizerLossConfig(gradient=0.5, perceptual=1.0),
    adversarial=AdversarialConfig(weight=0.3, balance="adaptive", start_step=3, channels=8),
    ema_decay=0.9,
    log_every=3,
)
"""With everything that has a state of its own; a line of metrics is about steps of two processes' lifetimes."""


def clips(step: int, samples: range = range(2)) -> torch.Tensor:
    """Soft random blobs of each step."""
    coarse = torch.rand(2, 3, 2, 2, 2, generator=torch.Generator().manual_seed(step)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(5, 32, 32), mode="trilinear")


class Killed(Exception):
    """Simulates the end of the process."""


def killed_at(last: int) -> object:
    def batches(step: int, samples: range) -> torch.Tensor:
        if step == last:
            raise Killed
        return clips(step)

    return batches


def metrics(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "logged", "killed"),
    [
        pytest.param(RECIPE, [1, 2, 3, 4, 5, 6], 3, id="plain"),
        pytest.param(WHOLE, [3, 6], 3, id="whole, before the discriminator", marks=pytest.mark.drill),
        pytest.param(WHOLE, [3, 6], 5, id="whole"),
    ],
)
def test_resumed_run_equals_the_straight_one(
    recipe: TokenizerTrainConfig, logged: list[int], killed: int, tmp_path: Path
) -> None:
    """Lost moments, a repeated batch or another dropout would show in the weights' last digit, or in the metrics.

    So would the discriminator, LeCAM's averages, the moving average and the counts of bits.
    """
    straight = train(CONFIG, recipe, clips, tmp_path / "straight")
    with pytest.raises(Killed):
        train(CONFIG, recipe, killed_at(killed), tmp_path / "resumed")
    resumed = train(CONFIG, recipe, clips, tmp_path / "resumed")
    assert resumed.hash == straight.hash
    assert metrics(tmp_path / "resumed") == metrics(tmp_path / "straight")
    assert [line["step"] for line in metrics(tmp_path / "straight")] == logged
    assert VideoTokenizer.from_pretrained(tmp_path / "resumed" / "tokenizer").hash == straight.hash


@pytest.mark.slow
def test_the_tokenizer_is_shown_as_it_would_be_saved(tmp_path: Path) -> None:
    """Figures of other weights than those people get would mislead; training then goes on with its own."""
    shown: dict[int, str] = {}

    def show(step: int, tokenizer: VideoTokenizer) -> dict[str, float]:
        assert not tokenizer.training
        assert not torch.is_grad_enabled()
        shown[step] = tokenizer.hash
        return {"shown_psnr": step / 2}

    recipe = dataclasses.replace(WHOLE, steps=5, show_every=2)
    found = train(CONFIG, recipe, clips, tmp_path / "shown", show=show)
    assert {line["step"]: line.get("shown_psnr") for line in metrics(tmp_path / "shown")} == {
        2: 1,
        3: None,
        4: 2,
        5: 2.5,
    }
    checkpoint = tmp_path / "shown" / "checkpoints" / "step-00000004"
    assert shown == {2: shown[2], 4: VideoTokenizer.from_pretrained(checkpoint).hash, 5: found.hash}
    assert train(CONFIG, recipe, clips, tmp_path / "not").hash == found.hash


def test_lines_say_how_the_bits_are_used(tmp_path: Path) -> None:
    """A dead bit costs the generator a token's worth of nothing for ever; the loss alone does not show it."""
    train(CONFIG, dataclasses.replace(RECIPE, steps=1, warmup_steps=0), clips, tmp_path)
    (line,) = metrics(tmp_path)
    assert {"bit_entropy", "dead_bits", "bit_entropy_1x1", "bit_entropy_2x2"} <= line.keys()
    assert 0 <= line["bit_entropy"] <= 1


def test_a_substitute_for_lpips_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Results without LPIPS are worse; a person must know which loss a run had."""
    with caplog.at_level("INFO"):
        start(CONFIG, WHOLE, "cpu")
    (record,) = caplog.records
    assert "train.loss.perceptual_weights is empty: instead of LPIPS" in record.getMessage()


def test_a_scheduler_s_signal_saves_and_ends_the_run(tmp_path: Path) -> None:
    """A preempted run that saved nothing would start over, and lose the same hours again."""

    def signalled(step: int, samples: range) -> torch.Tensor:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return clips(step)

    with pytest.raises(Preempted, match="step 3 of 6"):
        train(CONFIG, RECIPE, signalled, tmp_path)
    assert (tmp_path / "checkpoints" / "step-00000003" / "state.json").is_file()


def test_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    """What a killed save leaves behind must not be read, and goes at the next save."""
    with pytest.raises(Killed):
        train(CONFIG, RECIPE, killed_at(3), tmp_path)
    half = tmp_path / "checkpoints" / ".step-00000005.writing"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    train(CONFIG, RECIPE, clips, tmp_path)
    assert sorted(folder.name for folder in (tmp_path / "checkpoints").iterdir()) == ["step-00000004", "step-00000006"]


def test_other_settings_are_refused(tmp_path: Path) -> None:
    """Continuing a run with another learning rate would give weights that no recipe describes."""
    train(CONFIG, dataclasses.replace(RECIPE, steps=2), clips, tmp_path)
    with pytest.raises(InputError, match=r"train\.learning_rate"):
        train(CONFIG, dataclasses.replace(RECIPE, steps=2, learning_rate=1.0), clips, tmp_path)


def test_non_finite_loss_never_reaches_the_weights(tmp_path: Path) -> None:
    """One NaN in a batch would otherwise be in every weight after one step, and in every later checkpoint."""

    def poisoned(step: int, samples: range) -> torch.Tensor:
        return clips(step) * (float("nan") if step == 3 else 1.0)

    with pytest.raises(FloatingPointError, match="step 3"):
        train(CONFIG, RECIPE, poisoned, tmp_path)
    newest = VideoTokenizer.from_pretrained(tmp_path / "checkpoints" / "step-00000002")
    assert all(torch.isfinite(parameter).all() for parameter in newest.parameters())


def test_inflated_start_is_the_image_tokenizer(tmp_path: Path) -> None:
    """`inflate_from` must reach the first step: the video run starts where the image run ended."""
    image = dataclasses.replace(CONFIG, temporal_kernel=1)
    bucket = (TrainingBucket(schedule="32x32", num_frames=1),)
    recipe = dataclasses.replace(RECIPE, buckets=bucket, steps=1, warmup_steps=0)
    trained = train(image, recipe, lambda step, samples: clips(step)[:, :, :1], tmp_path / "image")
    video = dataclasses.replace(
        RECIPE,
        steps=1,
        warmup_steps=0,
        learning_rate=0.0,
        weight_decay=0.0,
        inflate_from=str(tmp_path / "image" / "tokenizer"),
    )
    inflated = train(CONFIG, video, clips, tmp_path / "video")
    frame = clips(0)[:, :, :1]
    torch.testing.assert_close(inflated.encode(frame), trained.encode(frame), atol=1e-6, rtol=0)


def test_learning_rate_warms_up_and_ends_at_its_fraction() -> None:
    """An off-by-one at either end changes every golden loss."""
    recipe = dataclasses.replace(RECIPE, steps=10, warmup_steps=4, learning_rate=1.0, final_fraction=0.1)
    rates = [learning_rate(recipe, step) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[9] == pytest.approx(0.1, rel=1e-12)


@pytest.mark.slow
def test_without_a_clip_norm_gradients_are_not_scaled(tmp_path: Path) -> None:
    """Zero gradients, or none, would leave the weights as they were."""
    first, second, clipped = (
        train(
            CONFIG, dataclasses.replace(RECIPE, steps=1, warmup_steps=0, clip_norm=limit), clips, tmp_path / str(limit)
        ).state_dict()
        for limit in (None, 1e6, 1e-6)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], clipped[name]) for name in first)


@pytest.mark.slow
def test_a_short_run_learns_one_batch(tmp_path: Path) -> None:
    """Forty steps on one batch must take a fifth off the error: a sign error in a loss or a dead path would not."""
    loss = TokenizerLossConfig(scale_dropout=0.0)
    recipe = dataclasses.replace(RECIPE, steps=40, learning_rate=5e-3, save_every=40, loss=loss)
    train(CONFIG, recipe, lambda step, samples: clips(0), tmp_path)
    losses = [line["reconstruction"] for line in metrics(tmp_path)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("name", ["state.json", "optimizer.safetensors", "model.safetensors"])
def test_a_damaged_checkpoint_is_named(name: str, tmp_path: Path) -> None:
    """A disk that lost a block must not end in a traceback that tells neither the file nor what to do."""
    train(CONFIG, dataclasses.replace(RECIPE, steps=4), clips, tmp_path)
    damaged = tmp_path / "checkpoints" / "step-00000004" / name
    damaged.write_bytes(damaged.read_bytes()[:40])
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n{")
    with pytest.raises(InputError, match="step-00000004") as caught:
        train(CONFIG, dataclasses.replace(RECIPE, steps=4), clips, tmp_path)
    assert "the checkpoint before it is used" in str(caught.value) or "weights" in str(caught.value)
    shutil.rmtree(damaged.parent)
    train(CONFIG, dataclasses.replace(RECIPE, steps=4), clips, tmp_path)
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_resumed_run_needs_no_start(tmp_path: Path) -> None:
    """The folder that it was inflated from may be gone: everything is in its checkpoint."""
    VideoTokenizer(dataclasses.replace(CONFIG, temporal_kernel=1)).save(tmp_path / "image")
    recipe = dataclasses.replace(RECIPE, steps=4, inflate_from=str(tmp_path / "image"))
    with pytest.raises(Killed):
        train(CONFIG, recipe, killed_at(3), tmp_path / "run")
    shutil.rmtree(tmp_path / "image")
    train(CONFIG, recipe, clips, tmp_path / "run")
    assert metrics(tmp_path / "run")[-1]["step"] == 4
