"""Damaged plans, commits and manifests: one line each, good shards untouched, bad ones made again when asked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.finish import finish_dataset
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.preparing.verify import verify
from videoar.data_pipeline.preparing.worker import UnitWorker
from videoar.data_pipeline.shards.commits import remaining_units
from videoar.tokenizer import open_tokenizer

from ..jobs import TOKENIZER, config, contents, shapes

DATA = config(shapes(), shapes("others", num_clips=4))
Damage = Callable[[Path], object]


def prepare(data: DataConfig, out: Path) -> None:
    """As `videoar data run` does it, in this process: what is there is not made again."""
    worker = UnitWorker(data, str(out), open_tokenizer(TOKENIZER), torch.device("cpu"))
    for item in plan_all(data, str(out)):
        for unit in remaining_units(item.plan.shard_sizes, ()):
            worker.run(item.dataset.name, unit)
        assert finish_dataset(item.storage, item.dataset, item.sample_format, item.plan, data.tokenizer, 0.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    prepare(DATA, out)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """A copy to do harm to: datasets `shapes` (three shards) and `others` (one)."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


def change(key: str, **fields: object) -> Damage:
    """Other values for some fields of a JSON file."""

    def damage(folder: Path) -> None:
        path = folder / key
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def put(key: str, text: str) -> Damage:
    return lambda folder: (folder / key).write_text(text)


def only(pattern: str, work: Damage) -> Damage:
    """To the one file that the pattern finds."""

    def damage(folder: Path) -> None:
        (path,) = folder.glob(pattern)
        work(path)

    return damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (put("plan.json", ""), "plan.json is damaged (JSONDecodeError"),
        (put("plan.json", "null"), "plan.json is damaged (TypeError"),
        (put("plan.json", "{}"), "plan.json is damaged (KeyError: 'version')"),
        (change("plan.json", version=99), "a plan of version 99"),
        (change("plan.json", parts=[{"key": 3}]), "plan.json: key=3: is not"),
        (change("plan.json", accounts=None), "plan.json is damaged (AttributeError"),
        (change("plan.json", accounts={}), "plan.json is damaged (KeyError"),
        (only("plan/*.parquet", Path.unlink), "plan/000000.parquet is missing"),
        (only("plan/*.parquet", lambda path: path.write_bytes(b"PAR1")), "its sha256 is not the one in the plan"),
        (put("commits/000001.json", ""), "commits/000001.json is damaged (JSONDecodeError"),
        (put("commits/000001.json", "null"), "commits/000001.json is damaged (TypeError"),
        (put("commits/000001.json", '{"tars": [{}], "samples": []}'), "commits/000001.json is damaged (TypeError"),
        (put("commits/999999.json", "{}"), "holds commits/999999.json, which is no commit of its plan"),
        (put("commits/000001.2-9.json", "{}"), "holds commits/000001.2-9.json, which is no commit of its plan"),
    ],
)
def test_stats_say_in_one_line_what_is_damaged_and_go_on(
    out: Path, damage: Damage, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback tells nobody which file to restore, and one bad dataset must not hide the others."""
    damage(out / "shapes")
    assert main(["data", "stats", str(out)]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["others"]


def rename(key: str, other: str) -> Damage:
    return lambda folder: (folder / key).rename(folder / other)


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


def test_repair_of_a_damaged_plan_forgets_nothing(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Taken for damage of the commits, one lost file would cost every shard that it tells of."""
    before = sorted(path.name for path in (out / "shapes" / "commits").iterdir())
    only("plan/*.parquet", Path.unlink)(out / "shapes")
    assert main(["data", "verify", str(out / "shapes"), "--repair"]) == 2
    assert "plan/000000.parquet is missing; restore it" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "shapes" / "commits").iterdir()) == before
    assert (out / "shapes" / "dataset.json").exists()


def test_gc_leaves_what_a_run_may_be_about_to_commit(out: Path) -> None:
    """Removed between its upload and its commit, a shard would be named and gone."""
    url, young = str(out / "others"), out / "others" / "shards" / "000000.young.tar"
    old, aside = young.with_name("000000.old.tar"), young.with_name("000000.x.tar.0123.part")
    for path in (young, old, aside):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert gc(url) == ("shards/000000.old.tar",)
    assert gc(url, min_age_s=0.0) == ("shards/000000.x.tar.0123.part", "shards/000000.young.tar")
    assert verify(url).problems == ()


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
    prepare(DATA, out)
    gc(url, min_age_s=0.0)
    assert verify(url).problems == ()
    assert (contents(url), open_manifest(url).hash) == (wanted, manifest)
    assert {path.name for path in (out / "shapes" / "shards").glob("00000[02].*")} == kept


def test_commits_of_another_plan_are_refused(out: Path) -> None:
    """Left behind where a plan was removed and made anew, they would give captions to other clips."""
    change("commits/000001.json", plan="settings-otherclips")(out / "shapes")
    (out / "shapes" / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"holds commits/000001.json of another plan \(settings-otherclips, now "):
        prepare(DATA, out)


def test_a_manifest_that_is_gone_is_written_again(out: Path) -> None:
    """A run that says done, beside a dataset that nothing can open, helps nobody."""
    url = str(out / "shapes")
    wanted = open_manifest(url).hash
    only("manifest.*", Path.unlink)(out / "shapes")
    assert verify(url).problems == ("dataset.json is of another plan, or the manifest that it names is missing",)
    prepare(DATA, out)
    assert open_manifest(url).hash == wanted
    assert verify(url).problems == ()


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
