"""The rate of training clips is measured where a clip is decoded, not where it is found made."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.benchmarks import clips
from videoar.data_pipeline.config.datasets import SourceConfig

from ..data_pipeline.videos import write_video


@pytest.mark.slow
def test_every_way_is_measured(tmp_path: Path) -> None:
    """A film in memory is the fastest by far: else something is made ahead of the clock."""
    write_video(tmp_path / "a.mp4", num_frames=40)
    found = clips.run(num_steps=2, rounds=1, source=SourceConfig(path=str(tmp_path)))
    assert found["clips"] == 16
    assert 0 < found["clips_per_s"]["decoders_1"] < found["clips_per_s"]["memory"]
    assert found["two_over_one"] > 0
