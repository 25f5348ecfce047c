from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.ucf101 import class_words

from ..datasets import BUCKET, LIMITS, reasons
from ..videos import write_video


@pytest.fixture
def ucf101(tmp_path: Path) -> Path:
    """Three classes of two clips, in the folders that the dataset's archives unpack to."""
    classes = ["ApplyEyeMakeup", "Basketball", "TaiChi"]
    names = [f"{name}/v_{name}_g{group:02d}_c01.avi" for name in classes for group in (1, 8)]
    for name in names:
        write_video(tmp_path / "UCF-101" / name, num_frames=20, size=(32, 32))
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(classes, 1)))
    train = [f"{name} {1 + i // 2}\n" for i, name in enumerate(names) if "_g08" in name]
    (lists / "trainlist01.txt").write_text("".join(train) + "Basketball/v_Basketball_g09_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in names if "_g01" in name))
    return tmp_path


def test_ucf101_has_its_official_splits_labels_and_words(ucf101: Path) -> None:
    """Clips of one actor must stay on one side of the split; a label that is off by one trains another class."""
    sides = {}
    for subset in ("train", "test"):
        sources, skipped = list_sources(SourceConfig(kind="ucf101", path=str(ucf101), subset=subset))
        sides[subset] = [(source.path.rsplit("/", 1)[1], source.label, source.caption) for source in sources]
        missing = {"UCF-101/Basketball/v_Basketball_g09_c01.avi"} if subset == "train" else set()
        assert set(reasons(skipped)) == missing
    assert sides["train"] == [
        ("v_ApplyEyeMakeup_g08_c01.avi", 0, "apply eye makeup"),
        ("v_Basketball_g08_c01.avi", 1, "basketball"),
        ("v_TaiChi_g08_c01.avi", 2, "tai chi"),
    ]
    assert [name for name, _, _ in sides["test"]] == [name.replace("_g08", "_g01") for name, _, _ in sides["train"]]
    config = DatasetConfig(name="ucf", source=SourceConfig(kind="ucf101", path=str(ucf101)), bucket=BUCKET)
    clips, _ = plan_clips(config, LIMITS)
    assert {(clip.label, clip.caption) for clip in clips} == {
        (0, "apply eye makeup"),
        (1, "basketball"),
        (2, "tai chi"),
    }
    assert class_words("YoYo") == "yo yo"


def test_lists_of_the_official_length_are_whole(tmp_path: Path) -> None:
    """Split 1 has 9,537 videos for training and 3,783 for testing, of 101 classes; a lost line shows in no figure."""
    classes = [f"Class{first}{second}" for first in "ABCDEFGHIJK" for second in "abcdefghij"][:101]
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number, name in enumerate(classes):
        (tmp_path / "UCF-101" / name).mkdir(parents=True)
        for subset, count, groups in (("test", 37 + (number < 46), 7), ("train", 94 + (number < 43), 18)):
            first = 1 if subset == "test" else 8
            lists[subset] += [
                f"{name}/v_{name}_g{first + i % groups:02d}_c{1 + i // groups:02d}.avi" for i in range(count)
            ]
    for file in (file for names in lists.values() for file in names):
        (tmp_path / "UCF-101" / file).write_bytes(b"0")
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    (folder / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(classes, 1)))
    labels = {name: number for number, name in enumerate(classes, 1)}
    train = "".join(f"{file} {labels[file.partition('/')[0]]}\r\n" for file in lists["train"])
    (folder / "trainlist01.txt").write_text(train)
    (folder / "testlist01.txt").write_text("".join(f"{file}\r\n" for file in lists["test"]))
    for subset, count in (("train", 9537), ("test", 3783)):
        sources, skipped = list_sources(SourceConfig(kind="ucf101", path=str(tmp_path), subset=subset))  # type: ignore[arg-type]
        assert not list(skipped)
        assert [source.path for source in sources] == [f"UCF-101/{file}" for file in lists[subset]]
        assert len({source.path for source in sources}) == count
        assert {source.label for source in sources} == set(range(101))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ucfTrainTestlist/classInd.txt", "x", "holds no ucfTrainTestlist/classInd.txt"),
        ("UCF-101", "videos", "holds no folder UCF-101"),
        ("UCF-101/ApplyEyeMakeup", "UCF-101/B", "holds none of the 1 videos"),
    ],
)
def test_wrong_folders_are_answered_with_the_right_ones(ucf101: Path, old: str, new: str, problem: str) -> None:
    """The most frequent mistake: some archives are not unpacked, or unpacked elsewhere."""
    (ucf101 / "ucfTrainTestlist" / "trainlist01.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n")
    (ucf101 / old).rename(ucf101 / new)
    with pytest.raises(InputError, match=f"{problem}.*lay it out as UCF-101/CLASS/v_CLASS_gNN_cNN.avi and ucfTrain"):
        list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "classInd.txt",
            "0 ApplyEyeMakeup\n1 Basketball\n2 TaiChi\n",
            "gives two classes one number, or a class the number 0",
        ),
        (
            "classInd.txt",
            "1 ApplyEyeMakeup\n1 Basketball\n2 TaiChi\n",
            "gives two classes one number, or a class the number 0",
        ),
        ("classInd.txt", "\u00b2 ApplyEyeMakeup\n", "which is not `number class`"),
        ("trainlist01.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 3\n", "the class 3, but classInd.txt 1"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(ucf101: Path, name: str, text: str, problem: str) -> None:
    """Wrong labels train a model that draws the wrong thing, and no other check would notice."""
    (ucf101 / "ucfTrainTestlist" / name).write_text(text)
    with pytest.raises(InputError, match=problem):
        list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))


def test_ucf101_may_be_made_of_links(ucf101: Path) -> None:
    """Many clusters keep the videos in one place and a folder of links in another."""
    (ucf101 / "UCF-101").rename(ucf101 / "store")
    for video in sorted((ucf101 / "store").rglob("*.avi")):
        link = ucf101 / "UCF-101" / video.relative_to(ucf101 / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(video)
    found, _ = list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))
    assert len(found) == 3
    shutil.rmtree(ucf101 / "UCF-101" / "TaiChi")
    (ucf101 / "UCF-101" / "TaiChi").symlink_to(ucf101 / "store" / "TaiChi")
    _, skipped = list_sources(SourceConfig(kind="ucf101", path=str(ucf101)))
    assert reasons(skipped)["UCF-101/TaiChi/v_TaiChi_g08_c01.avi"] == "is a link to a folder"
