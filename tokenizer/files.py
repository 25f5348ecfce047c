"""Tokenizer weights on disk: config.json and model.safetensors, which name each other by a hash."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.cluster.ground.files import check_folder, first_stranger, written_aside
from videoar.cluster.ground.shipped import Shipped
from videoar.tokenizer.config import TokenizerConfig

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINED = "trained"
"""Field of config.json, false for random weights of a preset."""
BITS_OF = "bits_of"
"""Field of config.json: hash of the tokenizer whose encoder was kept, if only the decoder was trained further."""
UNTRAINED = "is untrained: pictures are noise"
"""Warning about a tokenizer with random weights, which is useful for tests only."""
USE_TRAINED = "prepare and train with a trained one: --data.tokenizer.path demo, or the folder of another"
"""Remedy for an untrained tokenizer."""


SHIPPED = Shipped(Path(__file__).parent / "weights", CONFIG)
find_weights, shipped_folder, shipped_names = SHIPPED.find, SHIPPED.folder, SHIPPED.names
"""Find a tokenizer by path or by name (`demo`); the folder of a shipped tokenizer; the names of all shipped ones."""


def save_weights(
    model: nn.Module,
    config: TokenizerConfig,
    folder: Path,
    dtype: torch.dtype,
    *,
    is_trained: bool = True,
    bits_of: str = "",
) -> None:
    """Write both files under temporary names and rename them: a killed save leaves no partial file.

    The files of an earlier tokenizer are replaced; InputError if files of these names are something else.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    with written_aside(folder / CONFIG) as described, written_aside(folder / WEIGHTS) as weights:
        save_file(state, weights)
        weights.chmod(0o644)  # safetensors makes it readable for the owner only
        facts = {"kind": "tokenizer", "weights_sha256": _sha256(weights), "config": to_dict(config)}
        facts |= {} if is_trained else {TRAINED: False}
        facts |= {BITS_OF: bits_of} if bits_of else {}
        described.write_text(json.dumps(facts, indent=1) + "\n")


def check_free(folder: Path, *, alone: bool = False) -> None:
    """InputError if config.json or model.safetensors is not a tokenizer's; with `alone`, also for any other file."""
    check_folder("out", folder)
    is_ours = False
    with suppress(InputError):
        _description(folder)
        is_ours = True
    own = (CONFIG, WEIGHTS) if is_ours else ()
    names = [name for name in (CONFIG, WEIGHTS) if (folder / name).exists() and name not in own]
    stranger = first_stranger(folder, own) if alone else next(iter(names), None)
    if stranger is not None:
        raise InputError("out", folder, f"holds {stranger}, which no tokenizer wrote", "name an empty or a new folder")


def read_config(folder: Path) -> TokenizerConfig:
    """The configuration saved with the weights."""
    return from_dict(TokenizerConfig, _description(folder)["config"], str(folder / CONFIG))


def untrained_warning(*, is_trained: bool) -> str:
    """A warning for the user if the weights are random; empty otherwise."""
    return "" if is_trained else f"the tokenizer {UNTRAINED}; {USE_TRAINED}"


def was_trained(folder: Path) -> bool:
    """Whether the saved weights are trained ones; files of earlier versions do not say so and count as trained."""
    return bool(_description(folder).get(TRAINED, True))


def kept_bits(folder: Path) -> str:
    """Hash of the earlier tokenizer whose bits the saved one still makes; empty if it makes its own."""
    return str(_description(folder).get(BITS_OF, ""))


def load_weights(model: nn.Module, folder: Path, *, in_place: bool = False) -> None:
    """Load the saved weights into `model` in float32: as new tensors on the CPU (it may be on the meta device) or, with
    `in_place`, into its own tensors, so that an optimizer keeps them."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError("tokenizer", folder, f"holds no {WEIGHTS}", "copy the whole folder that was saved")
    if _sha256(path) != _description(folder)["weights_sha256"]:
        raise InputError(
            "tokenizer", path, f"is not the file that {CONFIG} was written with", "copy both files together again"
        )
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
        model.load_state_dict(state, strict=True, assign=not in_place)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError("tokenizer", path, f"does not fit {CONFIG} ({reason})", "use the weights it names") from error


def _description(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        known = "".join(f", or {name}" for name in shipped_names())
        raise InputError(
            "tokenizer", folder, f"holds no {CONFIG}", f"name a folder that `videoar tokenizer train` wrote{known}"
        )
    try:
        described = json.loads(path.read_text())
        if described["kind"] == "tokenizer" and {"weights_sha256", "config"} <= described.keys():
            return described
    except (ValueError, KeyError, TypeError):
        pass  # reported below, like a file of another kind
    raise InputError("tokenizer", path, "does not describe a tokenizer", "name a folder that a tokenizer was saved in")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
