"""The causal video tokenizer: video to bits at every scale, and back; its training, evaluation and import of weights.

It may import cluster.ground only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videoar.tokenizer.scales import ScaleSchedule
    from videoar.tokenizer.video_tokenizer import VideoTokenizer, open_tokenizer

__all__ = ["ScaleSchedule", "VideoTokenizer", "open_tokenizer"]


def __getattr__(name: str) -> Any:
    """Import on first use: reading a configuration of this package must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "scales" if name == "ScaleSchedule" else "video_tokenizer"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
