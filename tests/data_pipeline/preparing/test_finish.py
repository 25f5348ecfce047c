"""The last step of a dataset: its manifest, or the reason why there is none yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.finish import UnitCounts, clips_of_unit, finish_dataset, standing_commits
from videoar.data_pipeline.preparing.verify import verify
from videoar.data_pipeline.shards.commits import Commit

from ..damage import DATA, change, only
from ..jobs import make_shards


def test_commits_of_another_plan_are_refused(out: Path) -> None:
    """Left behind where a plan was removed and made anew, they would give captions to other clips."""
    change("commits/000001.json", plan="settings-otherclips")(out / "shapes")
    (out / "shapes" / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"holds commits/000001.json of another plan \(settings-otherclips, now "):
        make_shards(DATA, out)


def test_a_manifest_that_is_gone_is_written_again(out: Path) -> None:
    """A run must not report success for a dataset that cannot be opened."""
    url = str(out / "shapes")
    wanted = open_manifest(url).hash
    only("manifest.*", Path.unlink)(out / "shapes")
    assert verify(url).problems == ("dataset.json belongs to another plan, or the manifest that it names is missing",)
    make_shards(DATA, out)
    assert open_manifest(url).hash == wanted
    assert verify(url).problems == ()


def test_a_unit_without_a_commit_leaves_the_dataset_unfinished(out: Path) -> None:
    """A manifest without its clips would say that the dataset is finished."""
    (item,) = [item for item in plan_all(DATA, str(out)) if item.dataset.name == "shapes"]
    (out / "shapes" / "dataset.json").unlink()
    (out / "shapes" / "commits" / "000001.json").unlink()
    arguments = (item.storage, item.dataset, item.sample_format, item.plan, DATA.tokenizer, 0.5)
    assert not finish_dataset(*arguments)
    assert not (out / "shapes" / "dataset.json").exists()


def test_a_commit_of_other_clips_is_refused(out: Path) -> None:
    """Its captions would go to the wrong samples."""
    (item,) = [item for item in plan_all(DATA, str(out)) if item.dataset.name == "others"]
    (unit, commit), *_ = standing_commits(item.storage, item.plan)
    assert set(clips_of_unit(item.plan, unit, commit)) == {sample.key for sample in commit.samples}
    swapped = replace(commit, samples=(*commit.samples[1:], commit.samples[1]))
    with pytest.raises(InputError, match="lists other clips than its unit has in the plan"):
        clips_of_unit(item.plan, unit, swapped)


def test_failures_are_counted_over_all_commits() -> None:
    """Counted run by run, a disk that breaks slowly would never stop the job."""
    counts = UnitCounts(name="films", num_clips=10, max_failed_fraction=0.2)
    commit = Commit(plan="p", tars=(), samples=(), failed={"a": "the file is gone"})
    for _ in range(2):
        counts.add(commit)
    with pytest.raises(InputError, match=r"max_failed_fraction=0.2: is exceeded: 3 of 10 clips of films failed"):
        counts.add(commit)
