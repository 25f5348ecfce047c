"""Everything that a training step changes, and its initialisation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from videoar.tokenizer.autoencoder import ResidualBlock
from videoar.tokenizer.causal_conv import CausalConv3d
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.inflate import check_same_bits, fill_last_slices, new_layers
from videoar.tokenizer.perceptual import Perceptual
from videoar.tokenizer.training.bit_usage import RunningBitUsage
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.training.discriminator import Discriminator, new_discriminator
from videoar.tokenizer.training.losses import Distance, open_distance
from videoar.tokenizer.training.moving_average import MovingAverage
from videoar.tokenizer.training.recompute import prepare
from videoar.tokenizer.video_tokenizer import VideoTokenizer

log = logging.getLogger(__name__)


@dataclass
class Adversary:
    """The discriminator and what it learns with."""

    network: Discriminator
    optimizer: torch.optim.AdamW
    averages: Float32[Tensor, " 2"]
    """LeCAM's averages of the scores of real and of decoded clips."""


@dataclass
class TrainState:
    """Everything that a training step changes, and the fixed network of the perceptual term."""

    tokenizer: VideoTokenizer
    optimizer: torch.optim.AdamW
    average: MovingAverage
    adversary: Adversary | None
    distance: Distance | None
    usage: RunningBitUsage
    step: int = 0
    """Number of finished updates."""

    @property
    def device(self) -> torch.device:
        """Device of the weights and of the training state."""
        return next(self.tokenizer.parameters()).device


def start(
    config: TokenizerConfig, recipe: TokenizerTrainConfig, device: torch.device | str, *, is_new: bool = True
) -> TrainState:
    """Initial weights from the seed, inflated if asked for (VideoAR §4.1), and new optimizers.

    A resumed run takes its weights from a checkpoint and no longer needs the folder that it started from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        tokenizer = VideoTokenizer(config)
        if recipe.initial == "residual":
            keep_variance(tokenizer)
    if recipe.inflate_from and is_new:
        begin_with(tokenizer, VideoTokenizer.from_pretrained(recipe.inflate_from), recipe)
    if recipe.parts == "decoder":
        tokenizer.encoder.requires_grad_(False)
    tokenizer.to(device).train()
    distance = open_distance(recipe.loss)
    if isinstance(distance, Perceptual):
        distance.to(device)
    prepare(tokenizer, distance.stages if isinstance(distance, Perceptual) else (), recipe)
    return TrainState(
        tokenizer,
        _adamw(tokenizer, recipe),
        MovingAverage(tokenizer, recipe.ema_decay),
        _adversary(recipe, device),
        distance,
        RunningBitUsage(),
    )


def begin_with(tokenizer: VideoTokenizer, source: VideoTokenizer, recipe: TokenizerTrainConfig) -> None:
    """Copy the weights of another tokenizer, and keep its bits if only the decoder will be trained."""
    fill_last_slices(tokenizer, source)
    if anew := new_layers(tokenizer.config, source.config):
        bits, before = tokenizer.config.latent_dim, source.config.latent_dim
        log.info("%d bits per token instead of %d: %s start from random weights", bits, before, " and ".join(anew))
    if recipe.parts == "decoder":
        check_same_bits(tokenizer.config, source.config, recipe.inflate_from)
        tokenizer.bits_of = source.hash


@torch.no_grad()
def keep_variance(tokenizer: VideoTokenizer) -> None:
    """Draw new weights: each convolution keeps the variance of its input, and each residual block adds nothing."""
    for layer in tokenizer.modules():
        if isinstance(layer, CausalConv3d):
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
    for block in tokenizer.modules():
        if isinstance(block, ResidualBlock):
            nn.init.zeros_(block.conv2.weight)


def _adversary(recipe: TokenizerTrainConfig, device: torch.device | str) -> Adversary | None:
    if not recipe.adversarial.weight:
        return None
    network = new_discriminator(recipe.adversarial, recipe.seed).to(device).train()
    return Adversary(network, _adamw(network, recipe), torch.zeros(2, device=device))


def _adamw(network: nn.Module, recipe: TokenizerTrainConfig) -> torch.optim.AdamW:
    learning = [weight for _, weight in learning_weights(network)]
    return torch.optim.AdamW(learning, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay)


def learning_weights(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights that steps change, by name."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)


def moments(network: nn.Module, optimizer: torch.optim.AdamW) -> Iterator[tuple[str, Tensor]]:
    """AdamW's moments by name; none before the first update."""
    for name, weight in learning_weights(network):
        for key in ("exp_avg", "exp_avg_sq"):
            if key in optimizer.state[weight]:
                yield f"{name}|{key}", optimizer.state[weight][key]


def set_moments(network: nn.Module, optimizer: torch.optim.AdamW, found: dict[str, Tensor], updates: int) -> None:
    """Continue from these moments, those after a number of updates."""
    for name, weight in learning_weights(network):
        if updates:
            optimizer.state[weight] = {
                "step": torch.tensor(float(updates)),
                "exp_avg": found[f"{name}|exp_avg"].to(weight.device),
                "exp_avg_sq": found[f"{name}|exp_avg_sq"].to(weight.device),
            }
