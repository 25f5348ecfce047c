"""Public weights of Infinity's image tokenizer (arXiv:2412.04431), from which VideoAR's tokenizer starts (§4.1).

The files are torch dictionaries whose key `vae` (or `ema`) holds the network; they are read with `weights_only`, so
nothing in them is executed. Layers keep their shapes, so the import only renames them, by one table.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import TokenizerConfig
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

LATENT_LAYERS = ("encoder.conv_out.", "decoder.conv_in.")
"""Layers whose shape depends on the number of bits per token."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An image tokenizer with public weights."""

    tokenizer: VideoTokenizer
    reinitialised: tuple[str, ...]
    """Layers with random weights from the seed, because the file has another number of bits per token."""


def import_infinity(path: str | Path, *, latent_dim: int | None = None, seed: int = 0) -> Imported:
    """The public image tokenizer in a file; with another `latent_dim` the two layers at the latent are random."""
    weights = {rename(name): value for name, value in _network(Path(path)).items()}
    public = _config(weights, Path(path))
    wanted = public.latent_dim if latent_dim is None else latent_dim
    config = TokenizerConfig(
        base_channels=public.base_channels, multipliers=public.multipliers, latent_dim=wanted, temporal_kernel=1
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = VideoTokenizer(config).eval()
    reinitialised = LATENT_LAYERS if wanted != public.latent_dim else ()
    kept = {name: value for name, value in weights.items() if not name.startswith(reinitialised or "-")}
    own = tokenizer.state_dict()
    missing = [name for name in own if name not in kept and not name.startswith(reinitialised or "-")]
    strange = [name for name in kept if name not in own or own[name].numel() != kept[name].numel()]
    if missing or strange:
        raise InputError(
            "FILE",
            path,
            f"is another network: without {missing[:2]}, with {strange[:2]}",
            "give infinity_vae_d16.pth, d24, d32 or d64",
        )
    tokenizer.load_state_dict({**own, **{name: value.reshape(own[name].shape) for name, value in kept.items()}})
    return Imported(tokenizer, tuple(layer.rstrip(".") for layer in reinitialised))


def rename(name: str) -> str:
    """Our name of a public parameter."""
    for pattern, ours in RENAMES:
        name = re.sub(pattern, ours, name)
    return name


def _network(path: Path) -> dict[str, Tensor]:
    """Encoder and decoder under their public names; the quantiser has no weights, other entries are for training."""
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError("FILE", path, f"cannot be read ({reason})", "download it again") from error
    for key in ("vae", "ema"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    named = loaded.items() if isinstance(loaded, dict) else ()
    found = {str(name): value.float() for name, value in named if str(name).startswith(("encoder.", "decoder."))}
    if not found:
        raise InputError("FILE", path, "holds no encoder", "give infinity_vae_d16.pth, d24, d32 or d64")
    return found


def _config(weights: dict[str, Tensor], path: Path) -> TokenizerConfig:
    """The configuration that follows from the shapes of the weights."""
    try:
        base = weights["encoder.conv_in.weight"].shape[0]
        widths = [weights[f"encoder.levels.{level}.blocks.0.conv2.weight"].shape[0] for level in range(5)]
        latent_dim = weights["encoder.conv_out.weight"].shape[0]
    except KeyError as error:
        raise InputError("FILE", path, f"has no {error}", "give infinity_vae_d16.pth, d24, d32 or d64") from error
    return TokenizerConfig(
        base_channels=base,
        multipliers=tuple(width // base for width in widths),
        latent_dim=latent_dim,
        temporal_kernel=1,
    )
