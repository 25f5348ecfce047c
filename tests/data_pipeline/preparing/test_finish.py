"""The last step of a dataset: its manifest, or the reason why there is none yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.preparing.verify import verify

from ..damage import DATA, change, only
from ..jobs import make_shards


def test_commits_of_another_plan_are_refused(out: Path) -> None:
    """Left behind where a plan was removed and made anew, they would give captions to other clips."""
    change("commits/000001.json", plan="settings-otherclips")(out / "shapes")
    (out / "shapes" / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"holds commits/000001.json of another plan \(settings-otherclips, now "):
        make_shards(DATA, out)


def test_a_manifest_that_is_gone_is_written_again(out: Path) -> None:
    """A run that says done, beside a dataset that nothing can open, helps nobody."""
    url = str(out / "shapes")
    wanted = open_manifest(url).hash
    only("manifest.*", Path.unlink)(out / "shapes")
    assert verify(url).problems == ("dataset.json belongs to another plan, or the manifest that it names is missing",)
    make_shards(DATA, out)
    assert open_manifest(url).hash == wanted
    assert verify(url).problems == ()
