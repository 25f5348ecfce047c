"""The sample on which training is compared with inference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.diagnose.deep import _sample, both_ways
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.tokenizer.scales import HistoryKind


def evidence(samples: list[Any]) -> Evidence:
    """A run in its stage `video`, whose data holds these samples."""
    found = Evidence(Path("run"), recipe(), ({"stage": "video"},), (), ())
    found.__dict__["samples"] = {"clips64": samples}
    return found


@pytest.mark.parametrize(("lengths", "chosen"), [((1, 9, 4, 3, 6), 3), ((1, 2), 2), ((1,), 1), ((5, 12), 5)])
def test_the_shortest_video_is_compared(toy: Any, lengths: tuple[int, ...], chosen: int) -> None:
    """The longest clip of a large model takes hours on a CPU; one of two frames never empties the cache."""
    found = _sample(evidence([toy.sample(i, num_frames=frames) for i, frames in enumerate(lengths)]))
    assert found is not None
    sample, stage = found
    assert sample.entry.num_frames == chosen
    assert stage.window == max(1, chosen - 2)
    assert stage.tokens_per_pack < sample.entry.video_tokens() + len(sample.text) + 256


def test_no_readable_data_is_no_comparison() -> None:
    """Shards that cannot be read are another check's failure."""
    assert _sample(evidence([])) is None


@pytest.mark.parametrize("history", ["scales", "context"])
def test_both_ways_agree(toy: Any, history: HistoryKind) -> None:
    """The comparison itself must be right, or a healthy run fails it."""
    toy = toy.with_model(history=history)
    model, stage = toy.model(), replace(toy.stage, window=1)
    ways = both_ways(model, stage, toy.sample(1, num_frames=3))
    assert ways.difference < 1e-3
    assert ways.full.shape == ways.bits.shape
    assert ways.accuracy(torch.where(ways.bits, 1.0, -1.0)) == 1
