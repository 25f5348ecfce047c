"""`train.parts=decoder`: pictures change, bits do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.signature import weights_signature
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.planner.tokenizer_cost import tokenizer_cost
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.checkpoint import restore, save
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.state import TrainState, start
from videoar.tokenizer.training.step import train_step

from ...exported import export_folder
from ..videos import video

CONFIG = preset_config("tiny", 16)


@pytest.fixture
def recipe(tmp_path: Path, tiny: VideoTokenizer) -> TokenizerTrainConfig:
    """With all that could move an encoder: weight decay, a moving average, terms of the quantiser."""
    tiny.save(tmp_path / "origin")
    return TokenizerTrainConfig(
        buckets=(TrainingBucket(schedule="32x32", num_frames=5),),
        steps=6,
        batch_size=1,
        learning_rate=1e-2,
        weight_decay=0.1,
        ema_decay=0.9,
        parts="decoder",
        inflate_from=str(tmp_path / "origin"),
    )


def stepped(state: TrainState, recipe: TokenizerTrainConfig, steps: range) -> TrainState:
    for step in steps:
        train_step(state, recipe, video(5, 32, 32, seed=step))
    return state


def test_bits_stay_and_pictures_change(recipe: TokenizerTrainConfig, tiny: VideoTokenizer, tmp_path: Path) -> None:
    """Shards of months and the generators that read them stay valid: hash and bits are those of before."""
    state = stepped(start(CONFIG, recipe, "cpu"), recipe, range(3))
    state.average.adopt()
    state.tokenizer.save(tmp_path / "better")
    better, schedule, clip = (
        VideoTokenizer.from_pretrained(tmp_path / "better"),
        ScaleSchedule.named("32x32"),
        video(5, 32, 32),
    )
    assert better.hash == tiny.hash != better.weights_hash
    bits = better.quantize(better.encode(clip), schedule)
    assert torch.equal(bits, tiny.quantize(tiny.encode(clip), schedule))
    latent = tiny.dequantize(bits, schedule)
    assert (better.decode(latent) - tiny.decode(latent)).abs().max() > 0.01


def test_a_resumed_run_equals_a_straight_one(recipe: TokenizerTrainConfig, tmp_path: Path) -> None:
    """The folder that it began with may be gone by then, and with it the name of the bits."""
    straight = stepped(start(CONFIG, recipe, "cpu"), recipe, range(4))
    save(stepped(start(CONFIG, recipe, "cpu"), recipe, range(2)), CONFIG, recipe, tmp_path)
    resumed = start(CONFIG, recipe, "cpu", is_new=False)
    restore(resumed, CONFIG, recipe, tmp_path)
    stepped(resumed, recipe, range(2, 4))
    assert resumed.tokenizer.weights_hash == straight.tokenizer.weights_hash
    assert resumed.tokenizer.bits_of == straight.tokenizer.bits_of != ""


def test_a_rounded_encoder_has_bits_of_its_own(recipe: TokenizerTrainConfig, tmp_path: Path) -> None:
    """Under the old name its bits would be decoded wrongly, and nobody would be told."""
    tokenizer = stepped(start(CONFIG, recipe, "cpu"), recipe, range(1)).tokenizer
    tokenizer.save(tmp_path / "half", dtype=torch.float16)
    half = VideoTokenizer.from_pretrained(tmp_path / "half")
    assert (half.bits_of, half.hash) == ("", half.weights_hash)


def test_an_encoder_must_be_there_to_be_kept(recipe: TokenizerTrainConfig, tmp_path: Path) -> None:
    """Frozen random weights, or those of an image tokenizer, would be trained around for days."""
    with pytest.raises(InputError, match=r"parts=decoder: has no encoder to keep; set train.inflate_from"):
        replace(recipe, inflate_from="")
    VideoTokenizer(replace(CONFIG, temporal_kernel=1)).save(tmp_path / "image")
    with pytest.raises(InputError, match=r"train\.parts=decoder: cannot keep the bits of .*image: it is an image tok"):
        start(CONFIG, replace(recipe, inflate_from=str(tmp_path / "image")), "cpu")
    with pytest.raises(InputError, match=r"cannot keep the bits of .*origin: it has 16 bits per token, not 32; use"):
        start(replace(CONFIG, latent_dim=32), recipe, "cpu")


def test_a_generator_takes_the_better_decoder(recipe: TokenizerTrainConfig, tmp_path: Path) -> None:
    """Copied over WEIGHTS/tokenizer; figures of the two are not comparable, and their signatures say so."""
    folder = export_folder(tmp_path / "export")
    before = VideoPipeline.from_pretrained(folder, device="cpu")
    own = replace(recipe, inflate_from=str(folder / "tokenizer"))
    stepped(start(before.tokenizer.config, own, "cpu"), own, range(1)).tokenizer.save(folder / "tokenizer")
    after = VideoPipeline.from_pretrained(folder, device="cpu")
    assert after.tokenizer.hash == before.tokenizer.hash
    assert weights_signature(after) != weights_signature(before)


def test_its_cost_is_without_the_backward_of_the_encoder(recipe: TokenizerTrainConfig) -> None:
    """A plan that counts it would buy too many hours."""
    decoder, both = (tokenizer_cost(CONFIG, replace(recipe, parts=parts)).flops for parts in ("decoder", "all"))  # type: ignore[arg-type]
    assert both / 3 < decoder < both
