"""Where clips are cut: inside the used part, at the bucket's rate, never beyond what the file has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, Probe
from videoar.data_pipeline.sources.source import Source
from videoar.data_pipeline.tokenizer_clips.places import PlaceDraws, cut_at, used_part
from videoar.tokenizer.config import ClipBucket

BUCKET = ClipBucket(schedule="64x64", num_frames=17, fps=8.0)
FILM = Probe(height=240, width=320, fps=25.0, duration_s=10.0)
SOURCE = SourceConfig(path="films")
ITEM = Source(path="a.mp4", etag="", caption="")


def cut(probe: Probe, bucket: ClipBucket, draws: np.random.Generator, item: Source = ITEM, **augment: float) -> ClipCut:
    at = PlaceDraws(*draws.random(5).tolist())
    return cut_at(used_part(SOURCE, item, probe), probe, bucket, AugmentConfig(**augment), at)  # type: ignore[arg-type]


def last_s(found: ClipCut) -> float:
    return found.start_s + (found.num_frames - 1) / found.fps


def test_a_clip_lies_in_the_used_part_and_starts_anywhere_in_it() -> None:
    """A last frame beyond the part would be of the held-out clips; starts on a grid would repeat the same frames."""
    draws, item = np.random.default_rng(0), replace(ITEM, start_s=1.0, end_s=9.0)
    found = [cut(FILM, BUCKET, draws, item, max_stride=3) for _ in range(150)]
    assert {round(8 / cut.fps) for cut in found} == {1, 2, 3}
    assert all(1.0 <= cut.start_s and last_s(cut) <= 9.0 - 1 / 25 + 1e-6 for cut in found)
    plain = np.array([cut(FILM, BUCKET, draws, item).start_s for _ in range(150)])
    assert np.quantile(plain, [0, 0.5, 1]) == pytest.approx([1.0, 3.98, 6.96], abs=0.5)


@pytest.mark.parametrize(("duration_s", "num_frames"), [(2.04, 17), (2.03, 16), (1.0, 8), (0.2, 2)])
def test_a_short_film_gives_the_frames_that_it_has(duration_s: float, num_frames: int) -> None:
    """At 8 frames a second, the last a frame (1/25 s) before the end; the stride is given up first."""
    found = cut(replace(FILM, duration_s=duration_s), BUCKET, np.random.default_rng(1), max_stride=4)
    assert (found.num_frames, found.fps) == (num_frames, 8.0)


def test_a_slow_film_is_taken_at_its_own_rate() -> None:
    """At the bucket's rate every frame would come twice, and the tokenizer would learn that films stand still."""
    found = cut(replace(FILM, fps=5.0), BUCKET, np.random.default_rng(0))
    assert (found.fps, found.num_frames) == (5.0, 17)


@pytest.mark.parametrize(("height", "width", "most"), [(240, 320, 3.75), (32, 32, 1.0), (1080, 1920, 8.0)])
def test_a_crop_is_never_enlarged_beyond_covering(height: int, width: int, most: float) -> None:
    """Enlarged crops would teach blur."""
    draws = np.random.default_rng(0)
    zooms = [cut(replace(FILM, height=height, width=width), BUCKET, draws, zoom=8.0).zoom for _ in range(150)]
    assert min(zooms) >= 1
    assert max(zooms) == pytest.approx(most, rel=0.1)


@pytest.mark.parametrize(
    ("probe", "item", "reason"),
    [
        (replace(FILM, is_image=True, duration_s=0.0), ITEM, "is a picture"),
        (replace(FILM, duration_s=0.04), ITEM, "has one frame"),
        (replace(FILM, duration_s=0.0), ITEM, "no frame rate or duration"),
        (FILM, replace(ITEM, start_s=9.99), "no frame in the part"),
        (replace(FILM, kinds=("hdr",)), ITEM, "source.pictures.hdr=leave_out"),
    ],
)
def test_a_file_that_gives_no_video_is_named_with_its_reason(probe: Probe, item: Source, reason: str) -> None:
    source = replace(SOURCE, pictures=PictureConfig(hdr="leave_out"))
    with pytest.raises(DecodeError, match=reason):
        cut_at(used_part(source, item, probe), probe, BUCKET, AugmentConfig(), PlaceDraws(*[0.0] * 5))
