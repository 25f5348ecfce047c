from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.encoding.footage import FootageReader, open_clips
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.planning.clip import Clip

from ..datasets import BUCKET, LIMITS, dataset, write_films
from ..videos import frame_number

pytestmark = pytest.mark.slow


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of good and bad files; see `write_films`."""
    return write_films(tmp_path / "raw")


@pytest.mark.parametrize("processes", [1, 2])
def test_footage_comes_in_plan_order_and_failures_have_a_reason(films: Path, processes: int) -> None:
    """Shards name their samples by position in the plan; two decoders must not swap them."""
    config = dataclasses.replace(dataset(films), flip=True)
    clips, _ = plan_clips(config, LIMITS)
    (films / "a.mp4").write_bytes((films / "a.mp4").read_bytes()[:-500])
    with FootageReader(config.source, LIMITS, processes) as reader:
        footage = list(reader.read(clips))
    assert [item.clip for item in footage] == clips
    for item in footage:
        if item.clip.path == "a.mp4":
            assert item.frames is None
            assert item.reason == "the file has changed since the plan was made"
        else:
            assert item.frames is not None
            assert frame_number(item.frames[0]) == round(item.clip.start_s * 25 - 1e-3) % 64


def test_open_clips_gives_pixels_and_leaves_out_what_fails(films: Path) -> None:
    """A bad file must not end the training of a tokenizer."""
    clips = list(open_clips(SourceConfig(path=str(films)), BUCKET, limits=LIMITS))
    assert len(clips) == 9
    assert clips[0].shape == (5, 32, 32, 3)
    drawn = open_clips(SourceConfig(kind="shapes", num_clips=3), BUCKET)
    assert len(list(drawn)) == 3


def test_stopping_early_leaves_no_decoder_behind(films: Path) -> None:
    """A consumer that stops early must not wait until the rest is decoded."""
    clips, _ = plan_clips(dataclasses.replace(dataset(films), stride_s=0.05), LIMITS)
    with FootageReader(SourceConfig(path=str(films)), LIMITS, 2) as reader:
        footage = reader.read(clips)
        assert isinstance(next(footage).clip, Clip)
        footage.close()
