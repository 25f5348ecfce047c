"""Checkpoints of tokenizer training: a folder that is complete or absent.

The folder is written under a temporary name and renamed. It is a tokenizer that `from_pretrained` reads; it also holds
the optimizer's moments and a JSON file with the step and the settings.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import WRITING, discard, filled_folder
from videoar.cluster.ground.serialize import from_dict, to_dict
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.files import load_weights
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.video_tokenizer import VideoTokenizer

STATE = "state.json"
MOMENTS = "optimizer.safetensors"
KEEP_LAST = 2
"""Number of checkpoints kept."""

MAY_CHANGE = ("log_every", "save_every")
"""Settings that a resumed run may change, because they change no result."""


@dataclass
class TrainState:
    """Everything that a training step changes."""

    tokenizer: VideoTokenizer
    optimizer: torch.optim.AdamW
    step: int
    """Number of finished updates."""


def save(state: TrainState, config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> Path:
    """Write RUN/checkpoints/step-NNNNNNNN and remove all but the newest two."""
    root = run / "checkpoints"
    final = root / f"step-{state.step:08d}"
    for killed in final.parent.glob(f".step-*{WRITING}"):
        discard(killed)
    with filled_folder(final, last=STATE) as folder:
        state.tokenizer.save(folder)
        save_file(_moments(state), folder / MOMENTS)
        described = {"step": state.step, "settings": _settings(config, recipe)}
        (folder / STATE).write_text(json.dumps(described, indent=1) + "\n")
    for old in saved_folders(run)[:-KEEP_LAST]:
        shutil.rmtree(old)
    return final


def saved_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(path.parent for path in (run / "checkpoints").glob(f"step-*/{STATE}"))


def restore(state: TrainState, config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> None:
    """Load the newest checkpoint of the run into `state`, if there is one; InputError if settings differ."""
    folder = check_settings(config, recipe, run)
    if folder is None:
        return
    described = json.loads((folder / STATE).read_text())
    device = next(state.tokenizer.parameters()).device
    load_weights(state.tokenizer, folder, in_place=True)
    moments = load_file(folder / MOMENTS, device=str(device))
    for name, parameter in state.tokenizer.named_parameters():
        state.optimizer.state[parameter] = {
            "step": torch.tensor(float(described["step"])),
            "exp_avg": moments[f"{name}|exp_avg"],
            "exp_avg_sq": moments[f"{name}|exp_avg_sq"],
        }
    state.step = described["step"]


def check_settings(config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> Path | None:
    """The newest checkpoint of the run, if there is one; InputError if it was trained with other settings."""
    folders = saved_folders(run)
    if not folders:
        return None
    before = _saved_settings(folders[-1])
    for field, value in _settings(config, recipe).items():
        if before[field] != value:
            raise InputError(
                field,
                value,
                f"differs from {before[field]}, which {run} was started with",
                "name another run folder, or use the settings of this one",
            )
    return folders[-1]


def _moments(state: TrainState) -> dict[str, Tensor]:
    return {
        f"{name}|{key}": state.optimizer.state[parameter][key].contiguous()
        for name, parameter in state.tokenizer.named_parameters()
        for key in ("exp_avg", "exp_avg_sq")
    }


def _saved_settings(folder: Path) -> dict[str, object]:
    """The settings of a checkpoint; one that was written before a field existed has its default."""
    saved = json.loads((folder / STATE).read_text())["settings"]
    train = {name.removeprefix("train."): value for name, value in saved.items() if name != "tokenizer"}
    where = str(folder / STATE)
    return _settings(
        from_dict(TokenizerConfig, saved["tokenizer"], where), from_dict(TokenizerTrainConfig, train, where)
    )


def _settings(config: TokenizerConfig, recipe: TokenizerTrainConfig) -> dict[str, object]:
    """All settings that the results depend on, in the form in which JSON returns them."""
    fields = {f"train.{name}": value for name, value in to_dict(recipe).items() if name not in MAY_CHANGE}
    return {"tokenizer": to_dict(config), **fields}
