"""Reads a public file of Infinity's image tokenizer: encoder and decoder under their public names.

The files are torch dictionaries whose key `vae` (or `ema`) holds the network; they are read with `weights_only`, so
nothing in them is executed.
"""

from __future__ import annotations

import pickle
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.weights_file import is_plain

KEYS = ("vae", "ema")
"""Entries that may hold the network; the first one that is in the file is used."""


BEGINNINGS = (b"PK", b"\x80")
"""First bytes of a file of torch.save: a zip archive, or a bare pickle in old ones."""


@dataclass(frozen=True, slots=True)
class PublicNetwork:
    """The tensors of a file's encoder and decoder, in float32, and the names of everything else in it."""

    key: str
    """Entry of the file that holds the network; empty if the file is the network itself."""
    weights: dict[str, Tensor]
    ignored: tuple[str, ...]
    """The quantiser, which has no weights, and the states of optimizers and discriminators."""


def read_network(path: Path) -> PublicNetwork:
    """The network in a file. InputError if it is damaged, would run code, or holds no encoder and decoder."""
    loaded = _load(path)
    key = next((key for key in KEYS if isinstance(loaded.get(key), dict)), "")
    network = loaded[key] if key else loaded
    weights = {str(name): value for name, value in network.items() if str(name).startswith(("encoder.", "decoder."))}
    for side in ("encoder", "decoder"):
        if not any(name.startswith(side) for name in weights):
            raise another_network(path, f"holds no {side}")
    _check_tensors(weights, path)
    others = [name for name in loaded if key and name != key]
    ignored = (*(str(name) for name in network if str(name) not in weights), *map(str, others))
    return PublicNetwork(key, {name: value.float() for name, value in weights.items()}, ignored)


def another_network(path: Path, problem: str) -> InputError:
    """The error for a file with other contents than the public image tokenizer's."""
    return InputError("FILE", path, problem, "give infinity_vae_d16.pth, d24, d32 or d64")


def damaged(path: Path, problem: str) -> InputError:
    """The error for a file that is not what was published."""
    return InputError("FILE", path, problem, "download it again")


def _load(path: Path) -> dict[Any, Any]:
    _check_beginning(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's message recommends running the code in the file
        raise damaged(path, "cannot be read (it is damaged, or holds more than tensors)") from error
    except Exception as error:  # damaged files raise whatever the parser stumbles over: IndexError, AssertionError, ...
        sentence = " ".join(str(error).split()).partition(". ")[0]
        reason = textwrap.shorten(sentence, 160, placeholder=" ...") or type(error).__name__
        raise damaged(path, f"cannot be read ({reason})") from error
    if not isinstance(loaded, dict):
        raise another_network(path, f"holds a {type(loaded).__name__}")
    return loaded


def _check_beginning(path: Path) -> None:
    """InputError unless the path is a file that begins like a file of torch.save."""
    if not path.is_file():
        raise another_network(path, "is a folder" if path.is_dir() else "does not exist")
    try:
        with path.open("rb") as file:
            beginning = file.read(2)
    except OSError as error:
        raise InputError("FILE", path, f"cannot be read ({error.strerror})", "make it readable") from error
    if not beginning.startswith(BEGINNINGS):
        raise another_network(path, "cannot be read (it is not a PyTorch file, or is damaged)")


def _check_tensors(weights: dict[str, Any], path: Path) -> None:
    """InputError unless all are finite floating-point tensors whose values are all stored in the file."""
    for name, value in weights.items():
        if not is_plain(value):
            raise another_network(path, f"has no plain floating-point numbers in {name}")
    if sum(value.nbytes for value in weights.values()) > path.stat().st_size:
        raise damaged(path, "is shorter than the tensors that it describes")
    for name, value in weights.items():
        if not value.isfinite().all():
            raise damaged(path, f"has values in {name} that are not finite")
