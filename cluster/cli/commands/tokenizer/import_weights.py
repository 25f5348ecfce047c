"""`videoar tokenizer import`: convert public Infinity tokenizer weights into this project's format."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import OutFolder, parse
from videoar.cluster.cli.output import say_facts, warn
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import BitsPerToken, Limits

if TYPE_CHECKING:
    from videoar.tokenizer.config import TokenizerConfig
    from videoar.tokenizer.infinity import Imported


@dataclass(frozen=True, kw_only=True)
class ImportTokenizer:
    """Convert public weights of Infinity's image tokenizer into a video tokenizer of this project.

    On one frame the result equals the image tokenizer; it must be trained before it is used for video. A recipe's
    train.inflate_from starts from it, if the recipe's `tokenizer` has the same fields. If the number of bits per token
    differs, the two layers at the latent are initialised from scratch. stderr and the result report what was loaded,
    initialised and ignored; the last line on stderr is the command that trains the result.
    """

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """Weights to read: infinity_vae_d16.pth, d24, d32 or d64."""
    out: OutFolder
    """Folder to write: a new or an empty one, or that of an earlier tokenizer, which is replaced."""
    latent_dim: Annotated[BitsPerToken | None, arg(metavar="K")] = None
    """Bits per token of the result; those of the file if not given."""
    temporal_kernel: Annotated[int, Limits(1, 16), arg(metavar="N")] = 3
    """Frames that a convolution spans; the file's kernels become its last slice in time. 1 makes an image tokenizer."""
    temporal_layers: Literal["all", "resampling"] = "all"
    """Which convolutions span several frames, as in the recipe that trains it: `resampling` costs a third."""
    json: bool = False
    """Print JSON on a terminal, too."""


def import_weights(words: Sequence[str], prog: str) -> int:
    options = parse(ImportTokenizer, words, prog)
    if options.temporal_kernel == 1 and options.temporal_layers != "all":
        raise InputError(
            "temporal_layers", options.temporal_layers, "needs --temporal-kernel above 1", "leave one of the two out"
        )
    from videoar.tokenizer.files import check_free
    from videoar.tokenizer.infinity import import_infinity

    check_free(options.out, alone=True)
    found = import_infinity(
        options.file,
        latent_dim=options.latent_dim,
        temporal_kernel=options.temporal_kernel,
        temporal_layers=options.temporal_layers,
    )
    found.tokenizer.save(options.out)
    for line in (*_lines(options.file, found), _next(options.out, found.tokenizer.config)):
        warn(line)
    names = ("key", "loaded", "loaded_parameters", "reinitialised", "inflated", "ignored")
    report = {name: getattr(found, name) for name in names}
    say_facts({"out": str(options.out), "hash": found.tokenizer.hash, **report}, asked_json=options.json)
    return 0


def _next(out: Path, config: TokenizerConfig) -> str:
    """The command that trains the result, with every field that differs from the tokenizer of the paper's recipes."""
    from videoar.cluster.ground.fields.serialize import to_dict
    from videoar.tokenizer.presets import PRESETS

    wanted = {name: value for name, value in to_dict(config).items() if value != to_dict(PRESETS["paper"])[name]}
    if config.temporal_kernel == 1:  # any recipe widens it in time
        wanted = {name: value for name, value in wanted.items() if not name.startswith("temporal_")}
    words = [f"--train.inflate-from {shlex.quote(str(out))}"]
    for name, value in wanted.items():
        given = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        words.append(f"--tokenizer.{name.replace('_', '-')} {given}")
    return f"to train it: videoar tokenizer train tokenizer_ucf101 --clips.all.source.path DIR {' '.join(words)}"


def _lines(file: Path, found: Imported) -> Iterator[str]:
    """What became of everything in the file, for people."""
    where = f"{file.name}, key {found.key}" if found.key else file.name
    yield f"{where}: {found.loaded} tensors loaded ({found.loaded_parameters / 1e6:.1f}M values)"
    config = found.tokenizer.config
    if found.reinitialised:
        bits = f"the file has {found.file_latent_dim} bits per token, the result {config.latent_dim}"
        yield f"initialised from scratch: {', '.join(found.reinitialised)} ({bits})"
    if found.inflated:
        slices = f"{found.inflated} convolutions span {config.temporal_kernel} frames"
        yield f"inflated: {slices}; the file's kernels are the last slices, the others are random"
    if found.ignored:
        yield f"ignored: {', '.join(f'{name} ({count})' for name, count in found.ignored.items())}"
