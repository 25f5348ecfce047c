"""Checkpoints of tokenizer training: a folder that is complete or absent.

The folder is written under a temporary name and renamed. It is a tokenizer that `from_pretrained` reads, with the
moving average of the weights if the recipe has one. It also holds what a run resumes from: in that case the last
weights; the moments, the discriminator, the counts of bits, and a JSON file with the step and the settings.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.cluster.ground.files import WRITING, discard, filled_folder
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.files import kept_bits, load_weights
from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.training.same_settings import MAY_CHANGE, check_same, deciding
from videoar.tokenizer.training.state import Adversary, TrainState, moments, set_moments

STATE = "state.json"
MOMENTS = "optimizer.safetensors"
RAW = "weights.safetensors"
"""File of the last weights, written if model.safetensors holds their moving average."""
ADVERSARY = "discriminator.safetensors"
USAGE = "bits.safetensors"
KEEP_LAST = 2
"""Number of checkpoints kept."""


def save(state: TrainState, config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> Path:
    """Write RUN/checkpoints/step-NNNNNNNN and remove all but the newest two."""
    root = run / "checkpoints"
    final = root / f"step-{state.step:08d}"
    for killed in final.parent.glob(f".step-*{WRITING}"):
        discard(killed)
    with filled_folder(final, last=STATE) as folder:
        _save_tensors(state, folder)
        described = {"step": state.step, "settings": _settings(config, recipe)}
        (folder / STATE).write_text(json.dumps(described, indent=1) + "\n")
    for old in saved_folders(run)[:-KEEP_LAST]:
        shutil.rmtree(old)
    return final


def saved_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(path.parent for path in (run / "checkpoints").glob(f"step-*/{STATE}"))


def saved_step(run: Path) -> int:
    """Steps of the newest checkpoint of a run; 0 if there is none."""
    folders = saved_folders(run)
    return int(folders[-1].name.removeprefix("step-")) if folders else 0


def restore(state: TrainState, config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> None:
    """Load the newest checkpoint of the run into `state`, if there is one; InputError if settings differ."""
    folder = check_settings(config, recipe, run)
    if folder is None:
        return
    with _readable(folder):
        state.step = json.loads((folder / STATE).read_text())["step"]
        _load_weights(state, folder)
        set_moments(state.tokenizer, state.optimizer, load_file(folder / MOMENTS), state.step)
        if state.adversary:
            updates = max(0, state.step - recipe.adversarial.start_step)
            _load_adversary(state.adversary, load_file(folder / ADVERSARY), updates)
        if (folder / USAGE).exists():
            state.usage.counts = load_file(folder / USAGE, device=str(state.device))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """InputError for a checkpoint that was damaged after it was written."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            "run", folder, f"cannot be read ({reason})", "remove that folder; the checkpoint before it is used"
        ) from error


def _save_tensors(state: TrainState, folder: Path) -> None:
    with state.average.in_use():
        state.tokenizer.save(folder)
    if state.average.values:
        _write(dict(state.tokenizer.named_parameters()), folder / RAW)
    _write(dict(moments(state.tokenizer, state.optimizer)), folder / MOMENTS)
    _write(state.usage.counts, folder / USAGE)
    if state.adversary:
        network = state.adversary.network
        weights = {f"{name}|weight": weight for name, weight in network.named_parameters()}
        learned = dict(moments(network, state.adversary.optimizer))
        _write({**weights, **learned, "averages": state.adversary.averages}, folder / ADVERSARY)


def _write(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


def _load_weights(state: TrainState, folder: Path) -> None:
    """The weights, and their moving average if there is one; InputError for files that do not fit each other."""
    load_weights(state.tokenizer, folder, in_place=True)
    state.tokenizer.bits_of = kept_bits(folder)
    if not state.average.values:
        return
    for name, weight in state.tokenizer.named_parameters():
        state.average.values[name].copy_(weight.detach())
    state.tokenizer.load_state_dict(load_file(folder / RAW))


def _load_adversary(adversary: Adversary, found: dict[str, Tensor], updates: int) -> None:
    weights = {name: found[f"{name}|weight"] for name, _ in adversary.network.named_parameters()}
    adversary.network.load_state_dict(weights)
    adversary.averages.copy_(found["averages"])
    set_moments(adversary.network, adversary.optimizer, found, updates)


def check_settings(config: TokenizerConfig, recipe: TokenizerTrainConfig, run: Path) -> Path | None:
    """The newest checkpoint of the run, if there is one; InputError if it was trained with other settings."""
    folders = saved_folders(run)
    if not folders:
        return None
    with _readable(folders[-1]):
        tokenizer, train = _saved_settings(folders[-1])
    check_same(tokenizer, config, run, "tokenizer")
    check_same(deciding(train), deciding(recipe), run, "train")
    return folders[-1]


def _saved_settings(folder: Path) -> tuple[TokenizerConfig, TokenizerTrainConfig]:
    """The settings of a checkpoint; one that was written before a field existed has its default."""
    saved = json.loads((folder / STATE).read_text())["settings"]
    train = {name.removeprefix("train."): value for name, value in saved.items() if name != "tokenizer"}
    where = str(folder / STATE)
    return from_dict(TokenizerConfig, saved["tokenizer"], where), from_dict(TokenizerTrainConfig, train, where)


def _settings(config: TokenizerConfig, recipe: TokenizerTrainConfig) -> dict[str, object]:
    """All settings that the results depend on, in the form in which JSON returns them."""
    fields = {f"train.{name}": value for name, value in to_dict(recipe).items() if name not in MAY_CHANGE}
    return {"tokenizer": to_dict(config), **fields}
