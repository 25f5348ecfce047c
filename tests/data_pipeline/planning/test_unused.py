"""Every second of every file is in a clip or has one reason, whatever the settings are."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    ShotConfig,
    SourceConfig,
    VariantConfig,
)
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.choose import iter_plan
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.unused import AFTER_LAST, BETWEEN, NOT_NAMED
from videoar.data_pipeline.sources.source import Skipped

from ..datasets import LIMITS, dataset
from ..jobs import make_shards
from ..videos import resized, scene, write_frames, write_video

pytestmark = pytest.mark.slow

TICK_S = 1 / 25
LENGTHS = {"cuts.mp4": 96, "copy.mp4": 40, "still.mp4": 40, "slow.mp4": 20, "short.mp4": 8}
"""Frames of each film, at 25 a second; `slow` has five a second."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of five shots, one of them too short and one shorter than a clip; a copy of its first; and bad ones."""
    folder = tmp_path_factory.mktemp("films")
    first = scene(0, 40)
    write_frames(folder / "cuts.mp4", first + scene(1, 5) + scene(2, 16) + scene(3, 35))
    write_frames(folder / "copy.mp4", resized(first, (60, 80)), crf=25)
    write_frames(folder / "still.mp4", scene(4, 40, speed=0.0))
    write_video(folder / "slow.mp4", 20, fps=5)
    write_video(folder / "short.mp4", 8)
    write_video(folder / "picture.png", 1)
    (folder / "zero.mp4").write_bytes(b"")
    return folder


def shots(**changes: Any) -> dict[str, Any]:
    return {"shots": ShotConfig(detector="content", min_shot_s=0.3), **changes}


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gaps": {"stride_s": 1.0},
    "overlaps": {"stride_s": 0.2, "flip": True, "variants": VariantConfig(windows=2, strides=(1, 2))},
    "limited": {"max_clips_per_source": 1},
    "shots": shots(),
    "rules": shots(filters=FilterConfig(min_motion=0.02, min_side=50, max_duration_s=1.5)),
    "scored": shots(filters=FilterConfig(min_motion=0.02, score_only=True)),
    "duplicates": shots(duplicates=DuplicateConfig(method="hash")),
}


def measured(config: DatasetConfig) -> tuple[Accounts, list[Clip], list[Skipped]]:
    accounts = Accounts()
    found = list(iter_plan(config, LIMITS, accounts))
    clips = [item for item in found if isinstance(item, Clip)]
    return accounts, clips, [item for item in found if isinstance(item, Skipped)]


def shown_s(clips: list[Clip], lengths: dict[str, float]) -> float:
    """Seconds that at least one clip shows, counted on a grid of tenths of a frame."""
    grids = {path: np.zeros(round(length * 250), bool) for path, length in lengths.items()}
    for clip in clips:
        grids[clip.path][round(clip.start_s * 250) : round((clip.start_s + clip.num_frames / clip.fps) * 250)] = True
    return float(sum(grid.sum() for grid in grids.values()) / 250)


@pytest.mark.parametrize("name", SETTINGS)
def test_seconds_of_files_are_in_clips_or_have_a_reason(films: Path, name: str) -> None:
    """A second that is in no sum was lost without a word; one in two sums hides such a second."""
    accounts, clips, skipped = measured(dataset(films, **SETTINGS[name]))
    lengths = {path: frames / (5 if path == "slow.mp4" else 25) for path, frames in LENGTHS.items()}
    assert accounts.length_us / 1e6 == pytest.approx(sum(lengths.values()), abs=TICK_S)
    assert accounts.length_us == accounts.shown_us + accounts.time_out.total()
    assert min(accounts.time_out.values()) >= 0
    assert sum(clip.new_s for clip in clips) == pytest.approx(accounts.shown_us / 1e6)
    # The last clip of a shot ends up to one tick of its own rate beyond the shot.
    assert accounts.shown_us / 1e6 == pytest.approx(shown_s(clips, lengths), abs=5 / 8)
    recorded = Counter[tuple[str, str]]()
    for item in skipped:
        recorded[item.kind, item.reason] += round((item.seconds or 0.0) * 1e6)
    assert +recorded == {reason: time for reason, time in accounts.time_out.items() if reason[0] != "unused" and time}
    assert [item.source for item in skipped if item.seconds is None] == ["zero.mp4"]
    assert accounts.num_unmeasured == 1
    assert (BETWEEN in {reason for (_, reason), time in accounts.time_out.items() if time}) == (name == "gaps")


def test_reasons_have_their_own_seconds(films: Path) -> None:
    """A short shot costs as many seconds as it lasts, although no clip could be cut from it."""
    accounts, _, skipped = measured(dataset(films, **SETTINGS["duplicates"]))
    time = {reason: round(us / 1e6, 3) for (_, reason), us in accounts.time_out.items() if us}
    assert time["is a shot shorter than shots.min_shot_s=0.3"] == pytest.approx(0.2)
    assert time["is shorter than one clip"] == pytest.approx(8 / 25)
    assert time["shows what a clip of another source shows"] == pytest.approx(1.25, abs=0.4)
    assert [item.seconds for item in skipped if item.source == "slow.mp4"] == [4.0]


def test_parts_of_a_film_and_fractions(films: Path, tmp_path: Path) -> None:
    """Rows may overlap, and leave out most of a film; a moment that two rows name is one moment."""
    table = tmp_path / "rows.csv"
    table.write_text("path,caption,start_s,end_s\ncuts.mp4,a,0.2,1.2\ncuts.mp4,b,0.5,2\ncuts.mp4,c,3,3.1\n")
    source = SourceConfig(path=str(films), captions=str(table))
    accounts, _, _ = measured(dataset(films, source=source))
    time = {reason: us / 1e6 for (_, reason), us in accounts.time_out.items() if us}
    assert accounts.length_us / 1e6 == 3.84
    assert time == pytest.approx(
        {NOT_NAMED: 3.84 - 1.8 - 0.1, "is shorter than one clip": 0.1, AFTER_LAST: 1.8 - accounts.shown_us / 1e6},
        abs=1e-5,
    )
    source = SourceConfig(path=str(films), start_fraction=0.25, end_fraction=0.75)
    accounts, _, _ = measured(dataset(films, source=source))
    outside = accounts.time_out["unused", "is outside of source.start_fraction=0.25 to source.end_fraction=0.75"]
    assert outside / 1e6 == pytest.approx(sum(LENGTHS.values()) / 50 + 0.5 * (4 - 20 / 25))


def test_the_commands_account_for_every_second(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sums are what a person can check: from the listing to the last failed clip."""
    raw = shutil.copytree(films, tmp_path / "raw")
    config = dataset(raw, **SETTINGS["duplicates"], flip=True)
    recipe = debug_recipe()
    stage = replace(recipe.stages[0], mixture=(replace(recipe.stages[0].mixture[0], dataset="clips"),))
    recipe = replace(recipe, data=replace(recipe.data, datasets=(config,)), stages=(stage,))
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    out = str(tmp_path / "out")
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", out]) == 0
    told = capsys.readouterr().out
    assert AFTER_LAST in told
    assert "of 11.36" in told
    (raw / "cuts.mp4").write_bytes(b"changed since")
    make_shards(recipe.data, out)
    assert main(["data", "stats", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    seconds = found["seconds"]
    lost = [list(reasons.values()) for reasons in seconds["left_out"].values()]
    counted = [seconds["made_s"], *seconds["failed"].values(), *(time for part in lost for time in part)]
    length_s = sum(float(av.open(str(films / name)).duration / 1e6) for name in LENGTHS)
    assert sum(counted) == pytest.approx(length_s, abs=TICK_S)
    assert seconds["remaining_s"] == 0
    assert set(seconds["failed"]) == set(found["failed"]) == {"the file has changed since the plan was made"}
    assert seconds["made_s"] > 0
    assert main(["data", "stats", out]) == 0
    assert "the file has changed since" in capsys.readouterr().out
    assert main(["data", "inspect", f"{out}/clips", "0", "--out", str(tmp_path / "look"), "--clips", "1"]) == 0
    _, sample, *_ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (sample["source"], sample["start_s"], sample["end_s"]) == (f"{raw}/copy.mp4", 0.0, 0.5)
