from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


@pytest.mark.parametrize("age", ["-1", "nan"])
def test_an_age_below_zero_is_refused(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With such an age everything counts as old, and shards of a run in progress would be removed."""
    assert main(["data", "gc", "nowhere/", "--min-age-s", age]) == 2
    assert capsys.readouterr().err.startswith(f"min_age_s={float(age)}: is ")


def test_only_what_is_old_and_unnamed_is_removed(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh shard that no commit names may be about to be committed."""
    shard = planned / "clips64" / "shards" / "000000.stray.tar"
    shard.parent.mkdir(exist_ok=True)
    shard.write_bytes(b"left by an attempt that died")
    theirs = [shard.with_name(name) for name in ("README", "films.tar", "000000.tar.gz", "film.mp4.part")]
    for path in theirs:
        path.write_bytes(b"of somebody else")
    assert main(["data", "gc", f"{planned}/clips64"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == []
    assert main(["data", "gc", f"{planned}/clips64", "--min-age-s", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == ["shards/000000.stray.tar"]
    assert not shard.exists()
    for path in theirs:
        path.unlink()  # fails if gc took it
