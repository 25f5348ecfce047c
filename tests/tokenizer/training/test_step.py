"""One step with every term of Eq. 4: who learns from what, and in several processes the same as in one."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.process import World
from videoar.pretrain.parallel.cpu import device_of, join
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.adversarial import adaptive_balance, generator_hinge
from videoar.tokenizer.training.config import (
    AdversarialConfig,
    TokenizerLossConfig,
    TokenizerTrainConfig,
    TrainingBucket,
)
from videoar.tokenizer.training.losses import fidelity
from videoar.tokenizer.training.metrics import over_processes
from videoar.tokenizer.training.peers import Peers
from videoar.tokenizer.training.state import TrainState, moments, start
from videoar.tokenizer.training.step import learning_rate, train_step

from ...forked import workers
from ..videos import video

CONFIG = preset_config("tiny", 8)
RECIPE = TokenizerTrainConfig(
    buckets=(TrainingBucket(schedule="32x32", num_frames=5), TrainingBucket(schedule="48x48", num_frames=1)),
    steps=4,
    batch_size=2,
    learning_rate=1e-3,
    loss=TokenizerLossConfig(gradient=0.5, perceptual=1.0, entropy=0.1),
    adversarial=AdversarialConfig(weight=0.3, balance="adaptive", channels=8, start_step=1, lecam_decay=0.5),
    ema_decay=0.9,
)


def clips(step: int) -> torch.Tensor:
    bucket = RECIPE.bucket(step)
    return video(bucket.num_frames, *map(int, bucket.schedule.split("x")), b=2, seed=step)


def stepped(
    recipe: TokenizerTrainConfig, count: int, peers: Peers | None = None
) -> tuple[TrainState, dict[str, float]]:
    """The state after some steps, and the terms of the last one."""
    peers = peers or Peers()
    state, terms = start(CONFIG, recipe, "cpu"), {}
    for step in range(count):
        mine = peers.share(2)
        terms = train_step(state, recipe, clips(step)[mine.start : mine.stop], peers)
    state.usage.gather(peers)
    return state, over_processes(terms, peers)


def test_the_discriminator_begins_at_its_step() -> None:
    """Before it, the run is the one without a discriminator, digit for digit."""
    off = dataclasses.replace(RECIPE, adversarial=AdversarialConfig())
    (state, terms), (plain, expected) = stepped(RECIPE, 1), stepped(off, 1)
    assert state.tokenizer.hash == plain.tokenizer.hash
    assert terms == expected
    assert state.adversary is not None
    before = {name: weight.clone() for name, weight in state.adversary.network.named_parameters()}
    found = train_step(state, RECIPE, clips(1))
    assert {"generator", "generator_weight", "discriminator", "lecam", "discriminator_grad_norm"} <= found.keys()
    assert all(not torch.equal(before[name], weight) for name, weight in state.adversary.network.named_parameters())
    assert [group["lr"] for group in state.adversary.optimizer.param_groups] == [2 * learning_rate(RECIPE, 1)]


def test_gradients_stay_with_their_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak would train the discriminator to be deceived, or the decoder to be found out: both silently.

    The gradients of one step are compared with those of each network's own loss, computed alone.
    """
    recipe = dataclasses.replace(
        RECIPE, clip_norm=None, adversarial=dataclasses.replace(RECIPE.adversarial, start_step=0)
    )
    state, alone = start(CONFIG, recipe, "cpu"), start(CONFIG, recipe, "cpu")
    assert state.adversary is not None
    assert alone.adversary is not None
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: None)
    terms = train_step(state, recipe, clips(0))

    from videoar.tokenizer import ScaleSchedule
    from videoar.tokenizer.training.losses import multi_scale_gradients, scale_dropout, tokenizer_loss

    kept = scale_dropout(recipe.loss, 2, ScaleSchedule.named("32x32").num_scales, seed=0, step=0)
    decoded, seen = alone.tokenizer(clips(0), ScaleSchedule.named("32x32"), kept)
    found = tokenizer_loss(clips(0), decoded, seen, recipe.loss, perceptual=multi_scale_gradients(clips(0), decoded))
    deceives = generator_hinge(alone.adversary.network(decoded))
    last = alone.tokenizer.decoder.conv_out.weight
    weight = 0.3 * adaptive_balance(fidelity(found, recipe.loss), deceives, last, Peers())
    assert terms["generator_weight"].item() == pytest.approx(weight.item(), rel=1e-5)
    (found["loss"] + weight * deceives).backward()
    alone.adversary.optimizer.zero_grad()
    real, fake = alone.adversary.network(clips(0)), alone.adversary.network(decoded.detach())
    hinge = 0.5 * ((1 - real).relu().mean() + (1 + fake).relu().mean())
    of_real, of_fake = real.mean().detach(), fake.mean().detach()
    (hinge + 0.05 * ((real - of_fake).relu() ** 2).mean() + 0.05 * ((of_real - fake).relu() ** 2).mean()).backward()
    for ours, expected in ((state.tokenizer, alone.tokenizer), (state.adversary.network, alone.adversary.network)):
        for (name, weight), other in zip(ours.named_parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(weight.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_recomputed_levels_change_no_number(precision: str) -> None:
    """It exists to save memory only; under autocast the second forward must round as the first."""
    plain = dataclasses.replace(RECIPE, precision=precision, loss=dataclasses.replace(RECIPE.loss, perceptual=0.0))
    (state, terms), (other, found) = stepped(plain, 2), stepped(dataclasses.replace(plain, recompute=True), 2)
    assert state.tokenizer.hash == other.tokenizer.hash
    assert terms == found


def test_milestones_take_a_tenth_each() -> None:
    """The release lowers its rate twice."""
    recipe = dataclasses.replace(RECIPE, steps=100, milestones=(10, 20))
    rates = [learning_rate(recipe, step) for step in (9, 10, 19, 20)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])


def test_a_discriminator_that_is_not_finite_stops_the_run() -> None:
    """Its next scores would be NaN, and then every weight of the tokenizer."""
    recipe = dataclasses.replace(
        RECIPE, adversarial=dataclasses.replace(RECIPE.adversarial, balance="fixed", lecam=0.0)
    )
    state, _ = stepped(recipe, 1)
    assert state.adversary is not None
    before = state.tokenizer.hash
    with torch.no_grad():
        next(state.adversary.network.parameters()).fill_(math.inf)
    with pytest.raises(FloatingPointError, match="step 1: loss "):
        train_step(state, recipe, clips(1))
    assert state.tokenizer.hash == before


SLOW = dataclasses.replace(RECIPE, learning_rate=1e-6)
"""Adam moves a weight by the whole rate whatever its gradient: at a high rate the signs of rounding errors show."""


def _stepped_together(folder: str) -> int:
    world = World.here()
    join(world, device_of(0), 60.0, 60.0)
    state, terms = stepped(SLOW, 4, Peers(rank=world.rank, size=world.world_size))
    torch.save(_facts(state, terms), Path(folder) / f"{world.rank}.pt")
    return 0


def _facts(state: TrainState, terms: dict[str, float]) -> dict[str, torch.Tensor]:
    assert state.adversary is not None
    networks = {"tokenizer": state.tokenizer, "adversary": state.adversary.network}
    optimizers = {"tokenizer": state.optimizer, "adversary": state.adversary.optimizer}
    facts = {name: torch.tensor(value) for name, value in terms.items()} | state.average.values | state.usage.counts
    for name, network in networks.items():
        facts |= {f"{name} {key}": value for key, value in network.state_dict().items()}
        facts |= {f"{name} {key}": value / value.abs().max() for key, value in moments(network, optimizers[name])}
    return facts | {"averages": state.adversary.averages}


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Every statistic of a batch is that of the whole one: the entropy's mean, LeCAM's averages, the adaptive weight,
    the gradients and what is logged. One that is not would change the result with the number of GPUs."""
    workers(2, _stepped_together, str(tmp_path))
    expected = _facts(*stepped(SLOW, 4))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        counted = {name for name in found if name[0].isdigit()}
        for name in expected.keys() - (counted if rank else set()):
            torch.testing.assert_close(
                found[name], expected[name], atol=1e-4, rtol=1e-4, msg=lambda m, n=name: f"{n} {m}"
            )
