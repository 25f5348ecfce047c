"""Damaged plans, commits and manifests: one line each, good shards untouched, bad ones made again when asked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.preparing.verify import verify

from ..damage import DATA, Damage, only, put
from ..jobs import contents, make_shards


def test_repair_of_a_damaged_plan_forgets_nothing(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If one lost file counted as damage of the commits, every shard that it lists would be made again."""
    before = sorted(path.name for path in (out / "shapes" / "commits").iterdir())
    only("plan/*.parquet", Path.unlink)(out / "shapes")
    assert main(["data", "verify", str(out / "shapes"), "--repair"]) == 2
    assert "plan/000000.parquet is missing; restore it" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "shapes" / "commits").iterdir()) == before
    assert (out / "shapes" / "dataset.json").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (only("shards/000001.*", Path.unlink), "is missing"),
        (only("shards/000001.*", lambda path: os.truncate(path, 700)), "is damaged: its sha256"),
        (put("commits/000001.json", "{"), "commits/000001.json is damaged"),
        (lambda folder: (folder / "commits" / "000001.json").unlink(), "commits/000001.json is missing"),
        (only("latents/000001.*", Path.unlink), "is missing"),
        (put("dataset.json", "{"), "dataset.json is damaged"),
        (only("manifest.*", lambda path: os.truncate(path, 99)), "its sha256 is not the one in dataset.json"),
    ],
)
def test_what_is_damaged_is_made_again_and_nothing_else(out: Path, damage: Damage, told: str) -> None:
    """Without repair a lost shard costs the whole dataset; the remade one must be the lost one, byte for byte."""
    url = str(out / "shapes")
    wanted, manifest = contents(url), open_manifest(url).hash
    kept = {path.name for path in (out / "shapes" / "shards").glob("00000[02].*")}
    damage(out / "shapes")
    assert any(told in problem for problem in verify(url).problems)
    assert (out / "shapes" / "dataset.json").exists(), "to look is not to repair"
    assert verify(url, repair=True).repaired
    assert not verify(url).is_finished
    assert stats(url).num_remaining == (0 if "its sha256 is not" in told or "dataset" in told else 4)
    make_shards(DATA, out)
    gc(url, min_age_s=0.0)
    assert verify(url).problems == ()
    assert (contents(url), open_manifest(url).hash) == (wanted, manifest)
    assert {path.name for path in (out / "shapes" / "shards").glob("00000[02].*")} == kept


def test_what_two_drivers_left_is_read_by_the_manifest(out: Path) -> None:
    """The other may commit a unit again after the manifest is written: its tar is another, and both stay."""
    folder = out / "shapes"
    (tar,) = (folder / "shards").glob("000001.*")
    late = shutil.copy(tar, tar.with_name("000001.late.tar"))
    commit = json.loads((folder / "commits" / "000001.json").read_text())
    commit["tars"][0]["key"] = "shards/000001.late.tar"
    put("commits/000001.json", json.dumps(commit))(folder)
    assert gc(str(folder), min_age_s=0.0) == ()
    assert verify(str(folder)).problems == ()
    os.truncate(tar, 700)
    assert any(tar.name in problem for problem in verify(str(folder)).problems), "the manifest names it"
    assert Path(late).exists()
