"""Bytes of the cache of generation, compared with the tensors of a real decoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.budget.cache_bytes import cache_bytes
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


@pytest.mark.parametrize("history", ["scales", "context"])
def test_the_bytes_are_those_of_a_decoder(history: HistoryKind) -> None:
    """The largest clips of the stage, nine frames at 64x64, after the longest caption, with the branch of guidance."""
    base = recipe()
    small = replace(base, model=replace(base.model, num_layers=1, history=history))
    stage = small.stages[1]
    text = [np.ones(small.model.text.max_tokens, dtype=np.int64)]
    named = ScaleSchedule.named("64x64")
    decoder = CachedDecoder(VideoAR(small.model), named, text, num_frames=3, window=stage.window, branches=2)
    held = decoder.cache.keys.untyped_storage().nbytes() + decoder.cache.values.untyped_storage().nbytes()
    assert cache_bytes(small, stage) == held
