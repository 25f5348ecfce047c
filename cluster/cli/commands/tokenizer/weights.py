"""Which tokenizer a command works with: a folder of weights, or an untrained preset."""

from __future__ import annotations

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
    return open_tokenizer(source).eval().to("cuda" if torch.cuda.is_available() else "cpu")


def device_of(tokenizer: VideoTokenizer) -> torch.device:
    """The device that holds the tokenizer's weights."""
    return next(tokenizer.parameters()).device
