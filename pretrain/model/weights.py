"""A model in a folder: config.json and safetensors, no pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import from_dict, to_dict
from videoar.pretrain.config import ModelConfig

CONFIG_FILE = "config.json"
WEIGHTS_GLOB = "model*.safetensors"


def save_weights(config: ModelConfig, state: Mapping[str, Tensor], folder: Path) -> None:
    """Write the configuration under the key `model`, and all tensors in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps({"model": to_dict(config)}, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")


def read_config(folder: Path) -> ModelConfig:
    """The configuration of a saved model; keys beside `model` belong to others."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise InputError("weights", folder, f"holds no {CONFIG_FILE}", "give a folder written by `videoar export`")
    try:
        values = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError("weights", path, f"is not JSON ({error})", "export the run again") from error
    if not isinstance(values, dict) or "model" not in values:
        raise InputError("weights", path, "describes no model", "give a folder written by `videoar export`")
    return from_dict(ModelConfig, values["model"], str(path))


def load_weights(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of the folder's safetensors; exactly the expected names and shapes, or an error that names one."""
    state: dict[str, Tensor] = {}
    for file in sorted(folder.glob(WEIGHTS_GLOB)):
        state |= load_file(file)
    if not state:
        raise InputError("weights", folder, f"holds no {WEIGHTS_GLOB}", "give a folder written by `videoar export`")
    differing = [name for name in state.keys() ^ expected.keys()]
    differing += [name for name in state.keys() & expected.keys() if state[name].shape != expected[name].shape]
    if differing:
        problem = f"does not fit its {CONFIG_FILE}: {len(differing)} tensors differ, {min(differing)} among them"
        raise InputError("weights", folder, problem, "export the run again")
    return state
