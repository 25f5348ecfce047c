from __future__ import annotations

from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    ShotConfig,
    VariantConfig,
)
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.choose import iter_plan
from videoar.data_pipeline.planning.clip import Clip

from ..datasets import LIMITS, dataset
from ..videos import resized, scene, write_frames, write_video


def everything(folder: Path) -> DatasetConfig:
    """A dataset that uses every option, on a folder with an input for every reason."""
    write_frames(folder / "a.mp4", scene(0, 40) + scene(1, 40))
    write_frames(folder / "b.mp4", resized(scene(0, 40), (60, 80)), crf=25)
    write_frames(folder / "c.mp4", scene(2, 40, speed=0.0))
    write_video(folder / "short.mp4", num_frames=5)
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (folder / "out.mp4").symlink_to("/dev/null")
    return dataset(
        folder,
        shots=ShotConfig(detector="content"),
        filters=FilterConfig(min_motion=0.02),
        flip=True,
        duplicates=DuplicateConfig(method="hash"),
        variants=VariantConfig(windows=2),
        max_clips_per_source=7,
    )


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_every_input_and_every_clip_is_in_one_place(tmp_path: Path, processes: int) -> None:
    """If the sums disagree, clips were lost; the number of decoders must not change them."""
    config, accounts = everything(tmp_path), Accounts()
    found = list(iter_plan(config, LIMITS, accounts, processes=processes))
    assert accounts.is_balanced
    assert accounts.num_inputs == 6
    assert accounts.num_planned_inputs == len({item.path for item in found if isinstance(item, Clip)}) == 1
    assert accounts.num_clips == sum(isinstance(item, Clip) for item in found) == 7 * 2
    assert accounts.num_without_caption == accounts.num_without_text == accounts.num_clips
    assert {kind: n for (kind, _), n in accounts.inputs_out.items()} == {
        "unreadable": 1,
        "refused": 1,
        "duplicate": 1,
        "filtered": 1,
    }
    assert accounts.inputs_out.total() == 5
    assert accounts.num_candidates == accounts.num_clips + accounts.clips_out.total()
    assert {reason for _, reason in accounts.clips_out} >= {"is beyond max_clips_per_source=7"}
    if processes == 3:
        assert found == list(iter_plan(config, LIMITS, Accounts()))
