"""Which tokenizer a command works with: a folder of weights, or an untrained preset."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    import torch

    from videoar.tokenizer import VideoTokenizer

TokenizerName = Positional[Annotated[str, arg(metavar="WEIGHTS")]]


def open_weights(name: str) -> VideoTokenizer:
    """The tokenizer of a folder or preset, in evaluation mode, on the GPU if there is one."""
    import torch

    from videoar.tokenizer import open_tokenizer
    from videoar.tokenizer.config import TokenizerSource
    from videoar.tokenizer.presets import PRESETS

    source = TokenizerSource(preset=name) if name in PRESETS else TokenizerSource(path=name)
    opened = open_tokenizer(source, field="weights", remedy=_remedy(name))
    return opened.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _remedy(name: str) -> str:
    """What to give instead of a word that is neither a tokenizer's folder nor a known name."""
    from videoar.tokenizer.files import shipped_names
    from videoar.tokenizer.presets import PRESETS

    close = difflib.get_close_matches(name, [*shipped_names(), *PRESETS], n=1)
    if close:
        return f"did you mean {close[0]}?"
    names = f"{', '.join(shipped_names())}, or an untrained preset ({', '.join(PRESETS)})"
    return f"give one that `videoar tokenizer train` or `import` wrote, {names}"


def device_of(tokenizer: VideoTokenizer) -> torch.device:
    """The device that holds the tokenizer's weights."""
    return next(tokenizer.parameters()).device
