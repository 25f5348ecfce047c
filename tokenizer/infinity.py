"""Public weights of Infinity's image tokenizer (arXiv:2412.04431), from which VideoAR's tokenizer starts (§4.1).

Layers keep their shapes, so the import only renames them, by one table, and inflates the result to video.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.infinity_file import another_network, read_network
from videoar.tokenizer.inflate import inflate, new_layers
from videoar.tokenizer.video_tokenizer import VideoTokenizer

RENAMES = (
    (r"\.(?:conv|norm)\.(weight|bias)$", r".\1"),
    (r"\.(?:down|up)\.(\d)\.block\.", r".levels.\1.blocks."),
    (r"\.(?:down|up)\.(\d)\.(?:down|up)sample\.", r".levels.\1.resample."),
    (r"\.mid\.block_1\.", ".middle.0."),
    (r"\.mid\.block_2\.", ".middle.1."),
    (r"\.nin_shortcut\.", ".shortcut."),
)
"""Replacements that turn public names into ours, applied in order."""

LEVELS = 5
"""Resolutions of the public networks of stride 16."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A tokenizer with public weights, and what became of everything in the file."""

    tokenizer: VideoTokenizer
    key: str
    """Entry of the file that held the network: `vae` or `ema`; empty if the file is the network itself."""
    loaded: int
    """Number of tensors taken from the file; all other tensors of the network belong to the layers `reinitialised`."""
    loaded_parameters: int
    """Number of values in them."""
    file_latent_dim: int
    """Bits per token of the file."""
    reinitialised: tuple[str, ...]
    """Layers with random weights from the seed, because the file has another number of bits per token."""
    inflated: int
    """Number of convolutions whose temporally last slice is from the file; their other slices are random."""
    ignored: dict[str, int]
    """Entries of the file that are not used, by the first part of their names, with the number of each."""


def import_infinity(
    path: str | Path,
    *,
    latent_dim: int | None = None,
    temporal_kernel: int = 3,
    temporal_layers: Literal["all", "resampling"] = "all",
    seed: int = 0,
) -> Imported:
    """The public tokenizer in a file, inflated to video; `temporal_kernel` 1 leaves it an image tokenizer.

    With another `latent_dim` than the file's, the two layers at the latent are random.
    """
    path = Path(path)
    network = read_network(path)
    weights = {rename(name): value for name, value in network.weights.items()}
    public = _config(weights, path)
    _check_places(weights, public, path)
    wanted = replace(public, latent_dim=latent_dim or public.latent_dim)
    reinitialised = new_layers(wanted, public)
    kept = {name: value for name, value in weights.items() if name.rpartition(".")[0] not in reinitialised}
    tokenizer = _image_tokenizer(kept, wanted, seed)
    if temporal_kernel > 1:
        tokenizer = inflate(tokenizer, temporal_kernel=temporal_kernel, temporal_layers=temporal_layers, seed=seed)
    return Imported(
        tokenizer=tokenizer,
        key=network.key,
        loaded=len(kept),
        loaded_parameters=sum(value.numel() for value in kept.values()),
        file_latent_dim=public.latent_dim,
        reinitialised=reinitialised,
        inflated=sum(value.ndim == 5 and value.shape[2] > 1 for value in tokenizer.parameters()),
        ignored=dict(Counter(name.split(".")[0] for name in network.ignored)),
    )


def rename(name: str) -> str:
    """Our name of a public parameter."""
    for pattern, ours in RENAMES:
        name = re.sub(pattern, ours, name)
    return name


def _config(weights: dict[str, Tensor], path: Path) -> TokenizerConfig:
    """The image tokenizer's configuration, which follows from the shapes of its weights."""
    levels = {found[1] for name in weights if (found := re.match(r"encoder\.levels\.(\d)\.", name))}
    if len(levels) == LEVELS - 1:
        raise another_network(path, "has four resolutions, like the patch tokenizer of Infinity-8B")
    try:
        base = weights["encoder.conv_in.weight"].shape[0]
        widths = [weights[f"encoder.levels.{level}.blocks.0.conv2.weight"].shape[0] for level in range(LEVELS)]
        latent_dim = weights["encoder.conv_out.weight"].shape[0]
        return TokenizerConfig(
            base_channels=base,
            multipliers=tuple(width // base for width in widths),
            latent_dim=latent_dim,
            temporal_kernel=1,
        )
    except KeyError as error:
        raise another_network(path, f"lacks {error}") from error
    except (InputError, ZeroDivisionError, IndexError) as error:
        raise another_network(path, f"does not describe such a network ({error})") from error


def _check_places(weights: dict[str, Tensor], public: TokenizerConfig, path: Path) -> None:
    """InputError unless the file has a tensor of the right shape for every parameter, and no other."""
    with torch.device("meta"):
        parameters = dict(VideoTokenizer(public).named_parameters())
    expected = {name: value.squeeze(2).shape if value.ndim == 5 else value.shape for name, value in parameters.items()}
    if missing := [name for name in expected if name not in weights]:
        raise another_network(path, f"lacks {len(missing)} tensors of the network, such as {missing[0]}")
    if strange := [name for name in weights if name not in expected]:
        raise another_network(path, f"has {len(strange)} tensors too many, such as {strange[0]}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise another_network(path, f"has {name} of shape {tuple(weights[name].shape)} instead of {tuple(shape)}")


def _image_tokenizer(kept: dict[str, Tensor], config: TokenizerConfig, seed: int) -> VideoTokenizer:
    """The image tokenizer with the weights that are kept; others are random, from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = VideoTokenizer(config)
    own = tokenizer.state_dict()
    for name, value in kept.items():
        own[name].copy_(value.reshape(own[name].shape))
    return tokenizer.eval()
