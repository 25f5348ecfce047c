"""`videoar tokenizer import`: convert public Infinity tokenizer weights into this project's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import OutFolder, parse
from videoar.cluster.cli.output import say
from videoar.cluster.ground.limits import BitsPerToken


@dataclass(frozen=True, kw_only=True)
class ImportTokenizer:
    """Convert public Infinity tokenizer weights into an image tokenizer of this project.

    A recipe's train.inflate_from names that folder to start a video tokenizer from it. If the number of bits per token
    differs, the two layers at the latent are initialised anew, and the output lists them.
    """

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """Weights to read: infinity_vae_d16.pth, d24, d32 or d64."""
    out: OutFolder
    """Folder to write: a new or an empty one, or that of an earlier tokenizer, which is replaced."""
    latent_dim: Annotated[BitsPerToken | None, arg(metavar="K")] = None
    """Bits per token of the result; those of the file if not given."""


def import_weights(words: Sequence[str], prog: str) -> int:
    options = parse(ImportTokenizer, words, prog)
    from videoar.tokenizer.files import check_free
    from videoar.tokenizer.infinity import import_infinity

    check_free(options.out, alone=True)
    found = import_infinity(options.file, latent_dim=options.latent_dim)
    found.tokenizer.save(options.out)
    say(json.dumps({"out": str(options.out), "hash": found.tokenizer.hash, "reinitialised": found.reinitialised}))
    return 0
