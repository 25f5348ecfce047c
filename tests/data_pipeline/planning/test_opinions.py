from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    PluginConfig,
    SourceConfig,
)
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.planning.plugins import model_hash
from videoar.tokenizer.config import ClipBucket

from .. import brightness
from ..datasets import LIMITS
from ..videos import scene, write_frames

pytestmark = pytest.mark.usefixtures("importable")
BUCKET = ClipBucket(schedule="32x32", num_frames=9, fps=8.0)
MODULE = brightness.__name__


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dark film and two bright ones, one of which has a caption."""
    raw = tmp_path / "raw"
    write_frames(raw / "dark.mp4", [frame // 3 for frame in scene(0, 60)])
    write_frames(raw / "light.mp4", scene(0, 60))
    write_frames(raw / "named.mp4", scene(1, 60))
    (raw / "named.txt").write_text("said by a person")
    return raw


def dataset(folder: Path, **changes: object) -> DatasetConfig:
    return replace(DatasetConfig(name="c", source=SourceConfig(path=str(folder)), bucket=BUCKET), **changes)


def test_scores_filter_and_are_written(folder: Path, tmp_path: Path) -> None:
    """The model must get its local path; a clip below the minimum is left out with the name of the score."""
    weights = tmp_path / "factor.txt"
    weights.write_text("2.0")
    scorer = PluginConfig(name="light", plugin=f"{MODULE}:Brightness", model=str(weights), minimum=150.0)
    rules = FilterConfig(scores=(scorer,))
    clips, skipped = plan_clips(dataset(folder, filters=rules), LIMITS)
    assert {clip.path for clip in clips} == {"light.mp4", "named.mp4"}
    assert all(150 < dict(clip.scores)["light"] < 300 for clip in clips)
    assert {item.reason for item in skipped} == {"its light is below filters.scores.light.minimum=150"}
    scored, none = plan_clips(dataset(folder, filters=replace(rules, score_only=True)), LIMITS)
    assert not none
    assert {bool(clip.remark) for clip in scored if clip.path == "dark.mp4"} == {True}
    before = model_hash(scorer)
    weights.write_text("3.0")
    assert model_hash(scorer) != before, "other weights are another plan"


def test_captions_are_for_clips_that_have_none(folder: Path) -> None:
    """A model must not overwrite a caption that a person wrote."""
    captioner = PluginConfig(name="words", plugin=f"{MODULE}:ColourWords")
    clips, _ = plan_clips(dataset(folder, captioner=captioner), LIMITS)
    assert {clip.path: clip.caption for clip in clips} == {
        "dark.mp4": "a clip, mostly dark",
        "light.mp4": "a clip, mostly bright",
        "named.mp4": "said by a person",
    }


def test_embeddings_find_duplicates(folder: Path) -> None:
    """An upside-down copy has other hashes, but the same colours: only the embedding finds it."""
    write_frames(folder / "zz_turned.mp4", [frame[::-1] for frame in scene(1, 60)])
    embedding = PluginConfig(name="colours", plugin=f"{MODULE}:Histogram")
    config = DuplicateConfig(method="embedding", embedding=embedding, min_cosine=0.9)
    clips, skipped = plan_clips(dataset(folder, duplicates=config), LIMITS)
    assert {clip.path for clip in clips} == {"dark.mp4", "light.mp4", "named.mp4"}
    assert {item.source for item in skipped if item.is_input} == {"zz_turned.mp4"}
    by_hash, _ = plan_clips(dataset(folder, duplicates=DuplicateConfig(method="hash")), LIMITS)
    assert "zz_turned.mp4" in {clip.path for clip in by_hash}


def test_an_answer_that_is_not_finite_is_the_plugins_mistake(folder: Path) -> None:
    """Every comparison with NaN is false: all clips would pass the threshold."""
    rules = FilterConfig(scores=(PluginConfig(name="bad", plugin=f"{MODULE}:NotFinite", minimum=0.5),))
    with pytest.raises(InputError, match="is not one finite score"):
        plan_clips(dataset(folder, filters=rules), LIMITS)
