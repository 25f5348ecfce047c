from __future__ import annotations

from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import FilterConfig
from videoar.data_pipeline.decoding.client import VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.decoding.scan import scan_source

from ..datasets import dataset
from ..videos import resized, scene, write_frames


def test_motion_orders_still_slow_and_fast(tmp_path: Path, decoder: VideoDecoder) -> None:
    """Motion is in short sides per second: a film in another size must have the same value."""
    found = []
    config = dataset(tmp_path, filters=FilterConfig(min_motion=0.0))
    for speed in (0.0, 0.1, 0.4):
        for size in ((96, 128), (180, 240)):
            path = write_frames(tmp_path / f"{speed}-{size[0]}.mp4", resized(scene(3, 25, speed), size))
            probe = decoder.probe(str(path))
            scan = scan_source(config, decoder, str(path), probe, Window(start_s=0.0, end_s=1.0))
            found.append(scan.motion_of(0.0, 1.0))
    assert found[0] == pytest.approx(0, abs=0.005)
    assert found[1] == pytest.approx(0, abs=0.005)
    assert found[2:] == pytest.approx([0.1, 0.1, 0.4, 0.4], rel=0.25)
