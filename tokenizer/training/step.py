"""One training step: the tokenizer learns from all terms of Eq. 4, and the discriminator from its own.

Both gradients are taken with the weights from before the step. Neither is added to the other network: the discriminator
is frozen while the decoder's term is computed, and sees decoded clips as constants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from videoar.cluster.ground.schedule import warmup_cosine
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.training.adversarial import (
    adaptive_balance,
    discriminator_hinge,
    frozen,
    generator_hinge,
    lecam,
    update_averages,
)
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.training.losses import fidelity, scale_dropout, tokenizer_loss
from videoar.tokenizer.training.peers import Peers
from videoar.tokenizer.training.state import Adversary, TrainState

ALONE = Peers()

Terms = dict[str, Tensor]
"""Scalars by name."""


def train_step(
    state: TrainState, recipe: TokenizerTrainConfig, video: Float[Tensor, "b 3 f h w"], peers: Peers = ALONE
) -> Terms:
    """One update of both networks with this process's clips; returns the loss and its terms, over these clips.

    A loss that is not finite stops the run, on every process, before it changes weights.
    """
    schedule = ScaleSchedule.named(f"{video.shape[-2]}x{video.shape[-1]}")
    with _precision(recipe, video):
        decoded, seen = state.tokenizer(video, schedule, _kept(state, recipe, video, schedule, peers))
        perceptual = state.distance(video, decoded) if state.distance else None
    terms = tokenizer_loss(video, decoded, seen, recipe.loss, perceptual=perceptual, peers=peers)
    state.usage.add(seen, schedule)
    adversary = state.adversary if recipe.adversarial.is_on(state.step) else None
    if adversary:
        terms |= _deceive(state, adversary, recipe, terms, decoded, peers)
    state.optimizer.zero_grad(set_to_none=True)
    terms["loss"].backward()
    if adversary:
        terms |= _discriminate(state, adversary, recipe, video, decoded.detach(), peers)
    _update(state, adversary, recipe, terms, peers)
    return {name: value.detach() for name, value in terms.items()}


def _kept(
    state: TrainState, recipe: TokenizerTrainConfig, video: Tensor, schedule: ScaleSchedule, peers: Peers
) -> Bool[Tensor, "b s"]:
    """The scales that this process's clips keep, drawn for the whole batch."""
    clips = video.shape[0] * peers.size
    drawn = scale_dropout(recipe.loss, clips, schedule.num_scales, seed=recipe.seed, step=state.step)
    mine = peers.share(clips)
    return drawn[mine.start : mine.stop].to(video.device)


def _deceive(
    state: TrainState,
    adversary: Adversary,
    recipe: TokenizerTrainConfig,
    terms: Mapping[str, Tensor],
    decoded: Float[Tensor, "b 3 f h w"],
    peers: Peers,
) -> Terms:
    """The loss with the decoder's adversarial term, that term, and the weight it has in this step."""
    with frozen(adversary.network), _precision(recipe, decoded):
        term = generator_hinge(adversary.network(decoded))
    weight = torch.full_like(term, recipe.adversarial.weight)
    if recipe.adversarial.balance == "adaptive":
        last_layer = state.tokenizer.decoder.conv_out.weight
        weight = weight * adaptive_balance(fidelity(terms, recipe.loss), term, last_layer, peers)
    return {"loss": terms["loss"] + weight * term, "generator": term, "generator_weight": weight}


def _discriminate(
    state: TrainState,
    adversary: Adversary,
    recipe: TokenizerTrainConfig,
    video: Float[Tensor, "b 3 f h w"],
    decoded: Float[Tensor, "b 3 f h w"],
    peers: Peers,
) -> Terms:
    """The discriminator's loss and its terms; leaves its gradient in its weights."""
    config = recipe.adversarial
    with _precision(recipe, video):
        real, fake = adversary.network(video).float(), adversary.network(decoded).float()
    loss = discriminator_hinge(real, fake)
    terms = {"discriminator": loss, "score_real": real.mean(), "score_fake": fake.mean()}
    if config.lecam:
        is_first = state.step == config.start_step
        update_averages(adversary.averages, real, fake, config.lecam_decay, peers, is_first=is_first)
        terms["lecam"] = lecam(real, fake, adversary.averages)
        loss = loss + config.lecam * terms["lecam"]
    adversary.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    return terms


def _update(
    state: TrainState, adversary: Adversary | None, recipe: TokenizerTrainConfig, terms: Terms, peers: Peers
) -> None:
    """Clip and apply the gradients of the whole batch; add their norms to the terms."""
    terms["grad_norm"] = _clip(state.tokenizer, recipe, peers)
    if adversary:
        terms["discriminator_grad_norm"] = _clip(adversary.network, recipe, peers)
    for name in ("grad_norm", "discriminator_grad_norm"):
        if name in terms and not torch.isfinite(terms[name]):
            problem = f"loss {terms['loss'].item()}, {name.replace('_', ' ')} {terms[name].item()}"
            raise FloatingPointError(f"step {state.step}: {problem}")
    rate = learning_rate(recipe, state.step)
    _apply(state.optimizer, rate)
    if adversary:
        _apply(adversary.optimizer, rate * recipe.adversarial.rate_factor)
    state.step += 1
    state.average.update(state.step)


def _clip(network: nn.Module, recipe: TokenizerTrainConfig, peers: Peers) -> Tensor:
    """The norm of the gradient of the whole batch, which is scaled down to the recipe's limit, if there is one."""
    peers.average(weight.grad for weight in network.parameters() if weight.grad is not None)
    return torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm or math.inf)


def _apply(optimizer: torch.optim.AdamW, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def learning_rate(recipe: TokenizerTrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine from the peak to `final_fraction` of it; a tenth from each milestone on."""
    passed = sum(step >= milestone for milestone in recipe.milestones)
    return (
        recipe.learning_rate
        * warmup_cosine(
            step, num_steps=recipe.steps, warmup_steps=recipe.warmup_steps, final_fraction=recipe.final_fraction
        )
        / 10**passed
    )


def _precision(recipe: TokenizerTrainConfig, video: Tensor) -> torch.autocast:
    return torch.autocast(video.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16")
