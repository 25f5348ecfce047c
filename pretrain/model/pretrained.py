"""The export format: a folder with config.json, numbered safetensors and their index.

config.json                        what the weights are and where they come from (ExportConfig)
model-00001-of-00002.safetensors   weights by parameter name
model.safetensors.index.json       parameter → file, in the layout that Hugging Face tools read
tokenizer/                         the tokenizer that the model's bits belong to, unless it ships with the package
README.md                          the model card
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_name, short
from videoar.cluster.ground.fields.limits import FramesPerSecond, OneOrMore, PixelFrames, ZeroOrMore
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.cluster.ground.files import check_folder, filled_folder, first_stranger
from videoar.cluster.ground.shipped import Shipped
from videoar.pretrain.config import ModelConfig
from videoar.tokenizer.files import shipped_folder
from videoar.tokenizer.scales import ScaleSchedule

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
RUN_CONFIG = "config.yaml"
"""File that a run has and an export does not have."""
TOKENIZER = "tokenizer"
CARD = "README.md"
OF_TOKENIZER = (f"{TOKENIZER}/config.json", f"{TOKENIZER}/model.safetensors")
BESIDE = (CARD, *OF_TOKENIZER)
"""Files of an export in addition to configuration and weights."""
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
SHIPPED = Shipped(Path(__file__).parents[1] / "weights", CONFIG)
find_export, shipped_exports = SHIPPED.find, SHIPPED.names
"""Exports by path or by name (`small-world`); and the names of those that ship."""
FORMAT = 1
"""Version of this format: of the fields of config.json and of the names of parameters."""
MAX_SHARD_BYTES = 4 << 30
"""Most bytes in one file of weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipShape:
    """A shape of video the model was trained on."""

    schedule: str
    """Scale schedule by name: the frame size "HxW" in pixels."""
    schedule_hash: str
    """Hash of the grids of the scales in training."""
    num_frames: PixelFrames
    """Number of pixel frames, 1 + 4n."""
    fps: FramesPerSecond

    def __post_init__(self) -> None:
        if ScaleSchedule.named(self.schedule).hash != self.schedule_hash:
            raise InputError(
                "config.json: shapes.schedule_hash",
                self.schedule_hash,
                f"is not the hash of {self.schedule} in this version",
                "use the version that exported the weights",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetHash:
    """A dataset that the model was trained on."""

    dataset: str
    manifest_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where weights come from."""

    run: str = ""
    """Name of the run's folder."""
    recipe: str = ""
    recipe_hash: str = ""
    """Sixteen hex digits of the resolved recipe."""
    step: ZeroOrMore = 0
    ended: tuple[int, ...] = ()
    """Steps at which the finished stages ended."""
    ema: bool = False
    """Whether these weights are the moving average."""
    data: tuple[DatasetHash, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """The contents of config.json."""

    model: ModelConfig
    format_version: int = FORMAT
    """Weights of another version than FORMAT are refused when they are opened."""
    shapes: tuple[ClipShape, ...] = ()
    """Shapes of video it was trained on; it generates the first by default."""
    window: OneOrMore = 16
    """Past latent frames a frame attends to."""
    guidance: str = "t2v"
    continued_guidance: str = ""
    """Default guidance for a clip that is continued, whose given frames already show what the text says; empty:
    `guidance`."""
    tokenizer_hash: str = ""
    """Hash of the tokenizer in tokenizer/; empty: there is no tokenizer."""
    shipped_tokenizer: str = ""
    """Name of the tokenizer, if it ships with the package and is not in tokenizer/."""
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if self.shipped_tokenizer:  # a path would open some other folder
            check_name("config.json: shipped_tokenizer", self.shipped_tokenizer)

    def default_guidance(self, *, continued: bool) -> str:
        """The guidance of a video from its text, or of a clip that is continued."""
        return (self.continued_guidance if continued else "") or self.guidance

    def shape(self, name: str | None) -> ClipShape:
        """A shape of video that the model was trained on, by its schedule; the first one if None."""
        shapes = {shape.schedule: shape for shape in reversed(self.shapes)}
        chosen = self.shapes[0].schedule if name is None else name
        if chosen not in shapes:
            raise InputError(
                "schedule",
                chosen,
                "is not a frame size that these weights were trained on",
                f"use one of: {', '.join(reversed(shapes))}",
            )
        return shapes[chosen]


def tokenizer_folder(export: Path, config: ExportConfig) -> Path:
    """The tokenizer of an export, as `VideoTokenizer.from_pretrained` takes it."""
    return shipped_folder(config.shipped_tokenizer) if config.shipped_tokenizer else export / TOKENIZER


def read_config(folder: str | Path) -> ExportConfig:
    """Read config.json of an exported folder."""
    path = Path(folder) / CONFIG
    try:
        mapping = json.loads(path.read_text())
    except OSError as error:
        if (Path(folder) / RUN_CONFIG).is_file():
            raise InputError("weights", folder, "is a run, not weights", _export_command(Path(folder))) from error
        close = difflib.get_close_matches(str(folder), shipped_exports(), n=1)
        known = "".join(f", or {name}" for name in shipped_exports())
        raise InputError(
            "weights",
            folder,
            f"holds no {CONFIG}",
            f"did you mean {close[0]}?" if close else f"give a folder that `videoar export` wrote{known}",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError("weights", path, "is not JSON", "export the run again") from error
    _check_format(mapping, path)
    return from_dict(ExportConfig, mapping, str(path))


def _export_command(run: Path) -> str:
    """The remedy for a run's folder that is given instead of weights."""
    if (run / TOKENIZER).is_dir():  # a tokenizer's run, which holds the tokenizer that it trains
        return "give the weights of a generator: a tokenizer alone makes no video"
    out = Path("weights") / run.resolve().name
    return f"run: videoar export {shlex.quote(str(run))} {shlex.quote(str(out))} and give {out}"


def _check_format(mapping: Any, path: Path) -> None:
    """InputError for weights of another format, whose fields and parameters would have other names or meanings."""
    found = mapping.get("format_version", FORMAT) if isinstance(mapping, dict) else FORMAT
    if found == FORMAT:
        return
    if isinstance(found, int) and found > FORMAT:
        problem, remedy = f"is newer than this version of videoar, which reads {FORMAT}", "install a newer videoar"
    else:
        problem = f"is a format that this version of videoar, which reads {FORMAT}, does not know"
        remedy = "export the run again: `videoar export RUN OUT`, or open it with the version that wrote it"
    raise InputError(f"{path}: format_version", found, problem, remedy)


def write_export(
    folder: str | Path,
    config: ExportConfig,
    weights: Iterable[tuple[str, Tensor]],
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> Path:
    """Write configuration and weights, one file of at most `max_shard_bytes` in memory at a time.

    Files of an earlier export are replaced; its model card and tokenizer stay. InputError if the folder holds any other
    file.
    """
    folder = Path(folder)
    with filled_folder(folder, former_export(folder, kept=BESIDE), last=CONFIG) as writing:
        write_shards(writing, config, weights, max_shard_bytes)
    return folder


def former_export(folder: Path, *, kept: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The files of an earlier export in a folder, as paths below it; InputError if it holds any other file.

    Those of `kept` may be there and do not count.
    """
    check_folder("out", folder)
    own: tuple[str, ...] = kept
    with suppress(InputError):
        read_config(folder)
        shards = [name for name in _listed(folder).values() if _SHARD.fullmatch(str(name))]
        own = (CONFIG, INDEX, *BESIDE, *shards)
    if (stranger := first_stranger(folder, own)) is not None:
        raise InputError("out", folder, f"holds {stranger}, which no export wrote", "name an empty or a new folder")
    return tuple(name for name in dict.fromkeys(own) if name not in kept and (folder / name).exists())


def write_shards(
    folder: Path, config: ExportConfig, weights: Iterable[tuple[str, Tensor]], max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Write configuration and weights into an empty folder."""
    shards, total = [], 0
    for number, tensors in enumerate(_shards(weights, max_shard_bytes)):
        save_file(tensors, folder / f".shard-{number}", metadata={"format": "pt"})
        shards.append(list(tensors))
        total += sum(_size(tensor) for tensor in tensors.values())
    places = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / f".shard-{number}").rename(folder / file).chmod(0o644)  # safetensors writes for the owner alone
        places.update(dict.fromkeys(names, file))
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    (folder / CONFIG).write_text(json.dumps(to_dict(config), indent=1) + "\n")


def load_weights(folder: str | Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An exported folder's tensors: exactly the names and shapes of `expected`, whose values are not used.

    InputError for others, and for values that are not finite: bits drawn from them look like those of other weights.
    """
    loaded: dict[str, Tensor] = {}
    for name, read in _entries(Path(folder), expected):
        loaded[name] = read()
        if not loaded[name].isfinite().all():
            problem, remedy = f"has values in {name} that are not finite", "export an earlier step"
            raise InputError("weights", folder, problem, remedy)
    return loaded


def check_weights(folder: str | Path, expected: Mapping[str, Tensor]) -> None:
    """InputError unless the files are whole and have the names and shapes of `expected`; reads their headers only."""
    for _ in _entries(Path(folder), expected):
        pass


def weight_files(folder: str | Path) -> tuple[str, ...]:
    """Names of the files of weights that the index lists; InputError for a name that no export gives."""
    return tuple(sorted(set(_weight_map(Path(folder)).values())))


def _entries(folder: Path, expected: Mapping[str, Tensor]) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Yield the name of each tensor, checked against `expected`, and a function that reads it; call it before the
    next name."""
    places = _weight_map(folder)
    if missing := sorted(expected.keys() - places.keys()):
        raise InputError("weights", folder, f"lacks {_some(missing)}", f"export again, or correct {CONFIG}")
    if unknown := sorted(places.keys() - expected.keys()):
        raise InputError("weights", folder, f"has {_some(unknown)}, which the model lacks", f"correct {CONFIG}")
    for file in sorted(set(places.values())):
        for name, shape, read in _read_shard(folder / file, [name for name, at in places.items() if at == file]):
            if shape != tuple(expected[name].shape):
                raise InputError(
                    "weights",
                    folder,
                    f"has {name} of shape {shape}, but the model has shape {tuple(expected[name].shape)}",
                    f"use the {CONFIG} that was exported with these weights",
                )
            yield name, read


def _read_shard(path: Path, names: list[str]) -> Iterator[tuple[str, tuple[int, ...], Callable[[], Tensor]]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in names:
                yield name, tuple(file.get_slice(name).get_shape()), partial(file.get_tensor, name)
    except (OSError, SafetensorError) as error:
        raise InputError("weights", path, f"cannot be read ({error})", "export or download it again") from error


def _weight_map(folder: Path) -> dict[str, str]:
    """The file of each weight. InputError for a name that no export gives: a path would open files of others."""
    places = _listed(folder)
    for file in places.values():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise InputError("weights", folder / INDEX, f"lists {short(file)}, which no export wrote", "export again")
    return places


def _listed(folder: Path) -> dict[str, Any]:
    """What the index says, unchecked."""
    try:
        return dict(json.loads((folder / INDEX).read_text())["weight_map"])
    except OSError as error:
        raise InputError("weights", folder, f"holds no {INDEX}", "give a folder that `videoar export` wrote") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError("weights", folder / INDEX, "is not an index of weights", "export the run again") from error


def _shards(weights: Iterable[tuple[str, Tensor]], max_bytes: int) -> Iterator[dict[str, Tensor]]:
    """Groups of consecutive tensors, each below the limit (a single larger tensor forms a group alone)."""
    group: dict[str, Tensor] = {}
    size = 0
    for name, tensor in weights:
        if group and size + _size(tensor) > max_bytes:
            yield group
            group, size = {}, 0
        group[name] = tensor.detach().to("cpu").contiguous()
        size += _size(tensor)
    if group:
        yield group


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
