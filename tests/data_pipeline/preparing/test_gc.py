"""What no commit names is removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.verify import verify

from ..damage import Damage, change, put, rename
from ..jobs import contents


@pytest.mark.parametrize(
    "damage",
    [
        put("plan.json", "{}"),
        put("commits/000001.json", ""),
        put("dataset.json", ""),
        change("commits/000001.json", tars=[], samples=[]),
        change("commits/000001.json", tars=[{"key": "../x/000001.a.tar", "size_bytes": 9, "sha256": ""}]),
        rename("commits/000001.json", "commits/0000001.json"),
        rename("plan.json", "plan.old"),
    ],
)
def test_gc_takes_nothing_where_it_cannot_read_what_is_named(
    out: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shards of a commit that cannot be read look like left-overs."""
    before = contents(str(out / "shapes"))
    damage(out / "shapes")
    unfinished = out / "shapes" / "dataset.json"
    if unfinished.stat().st_size:  # otherwise the manifest would keep them
        unfinished.unlink()
    assert main(["data", "gc", str(out / "shapes"), "--min-age-s", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert contents(str(out / "shapes")) == before


def test_gc_leaves_what_a_run_may_be_about_to_commit(out: Path) -> None:
    """Removed between its upload and its commit, a shard would be named and gone."""
    url, young = str(out / "others"), out / "others" / "shards" / "000000.young.tar"
    old, aside = young.with_name("000000.old.tar"), young.with_name("000000.x.tar.01234567.part")
    for path in (young, old, aside):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert gc(url) == ("shards/000000.old.tar",)
    assert gc(url, min_age_s=0.0) == ("shards/000000.x.tar.01234567.part", "shards/000000.young.tar")
    assert verify(url).problems == ()
