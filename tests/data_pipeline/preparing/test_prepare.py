"""Preparation on a real local Ray cluster: the same bytes from any pool, failures on record, restarts exact."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import ShardReader, open_manifest
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.planning.stored_plan import read_plan
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.part import Part
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.preparing.verify import find_datasets, verify
from videoar.data_pipeline.preparing.worker import UnitWorker
from videoar.data_pipeline.shards.commits import Unit
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.pixels import from_bytes
from videoar.tokenizer.scales import ScaleSchedule

from ..conftest import restored
from ..jobs import TOKENIZER, config, contents, is_whole, keys, shapes, start_driver
from ..videos import write_video

pytestmark = pytest.mark.slow


def test_the_pool_changes_nothing_and_samples_are_what_the_tokenizer_gives(cluster: None, tmp_path: Path) -> None:
    """Bytes that depended on the number of actors could not be verified, nor a run repeated."""
    from videoar.data_pipeline.preparing.prepare import DataProgress, prepare

    seen: list[DataProgress] = []
    datasets = (shapes(), shapes("images", num_frames=1))
    one = prepare(config(*datasets), str(tmp_path / "one"), progress=seen.append)
    two = prepare(config(*datasets, actors=2), str(tmp_path / "two"))
    assert list(one) == ["shapes", "images"]
    for name in one:
        assert contents(one[name]) == contents(two[name])
        assert open_manifest(one[name]).hash == open_manifest(two[name]).hash
    assert [event.num_done for event in seen] == sorted(event.num_done for event in seen)
    assert (seen[-1].num_done, seen[-1].num_clips, seen[-1].num_failed) == (20, 20, 0)
    assert seen[-1].eta_s == 0

    manifest, tokenizer = open_manifest(one["shapes"]), open_tokenizer(TOKENIZER)
    assert manifest.tokenizer_hash == tokenizer.hash
    entry = manifest.entries[3]
    assert entry.caption.startswith("a ")
    pixels = from_bytes(torch.from_numpy(draw_clip(0, 3, shapes().bucket))[None])
    latent = tokenizer.encode(pixels)
    bits, stored = ShardReader(manifest).read(entry).unpack(), ShardReader(manifest).read_latent(entry)
    wanted = tokenizer.quantize(latent, ScaleSchedule.named("32x32"))[0].numpy()
    assert (bits == wanted).mean() > 0.999, "one clip alone and in a batch may differ by rounding"
    found = restored(stored, bits, ScaleSchedule.named("32x32")).numpy()
    error = np.abs(found - latent[0].transpose(0, 1).numpy()).max()
    assert error < 0.02 * np.abs(latent.numpy()).max()


def test_an_unfinished_run_is_continued_and_left_overs_are_cleared(cluster: None, tmp_path: Path) -> None:
    """What is committed is not made again; tars without a commit are known by that and can go."""
    from videoar.data_pipeline.preparing.prepare import plan_all, prepare

    out, data = str(tmp_path / "out"), config(shapes())
    plan_all(data, out)
    UnitWorker(data, out, open_tokenizer(TOKENIZER), torch.device("cpu")).run("shapes", Unit(1, 0, 4))
    url = find_datasets(out)[0]
    (first,) = (Path(url) / "shards").iterdir()
    dead = [Path(url) / folder / "000002.dead.tar" for folder in ("latents", "shards")]
    for path in dead:
        path.write_bytes(b"half")
    assert (stats(url).num_samples, stats(url).is_finished) == (4, False)
    with pytest.raises(InputError, match="no finished dataset"):
        open_manifest(url)

    prepare(data, out)
    assert first in (Path(url) / "shards").iterdir()
    assert keys(open_manifest(url)) == [clip.key for clip in read_plan(Storage.open(url)).clips]
    report = verify(url)
    assert (report.num_shards, report.num_samples, report.problems) == (3, 10, ())
    assert sorted(report.unnamed) == [str(path.relative_to(url)) for path in dead] == list(gc(url, min_age_s=0.0))
    assert verify(url).unnamed == ()
    counts = stats(url)
    assert (counts.num_planned, counts.num_samples, counts.is_finished) == (10, 10, True)
    assert counts.num_tokens == sum(entry.video_tokens() for entry in open_manifest(url).entries)
    for path in (first, first.parents[1] / "latents" / first.name):
        raw = bytearray(path.read_bytes())
        raw[700] ^= 1
        path.write_bytes(raw)
        assert any(f"{path.name} is damaged: its sha256" in problem for problem in verify(url).problems)
    with pytest.raises(InputError, match="other settings"):
        prepare(config(shapes(), samples_per_shard=5), out)


def test_bad_clips_are_recorded_and_too_many_stop_the_job(cluster: None, tmp_path: Path) -> None:
    """A clip that breaks after planning is a row with a reason; a broken disk must not become an empty dataset."""
    from videoar.data_pipeline.preparing.prepare import plan_all, prepare

    raw, out = tmp_path / "raw", str(tmp_path / "out")
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_video(raw / name)
    (raw / "x.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    dataset = DatasetConfig(
        name="films", source=SourceConfig(path=str(raw)), bucket=ClipBucket(schedule="32x32", num_frames=5)
    )
    plan_all(config(dataset), out)
    (raw / "b.mp4").unlink()
    url = prepare(config(dataset), out)["films"]
    counts = stats(url)
    assert (counts.num_planned, counts.num_samples) == (9, 6)
    assert counts.failed == {"the file is gone": 3}
    assert [sum(reasons.values()) for reasons in counts.inputs_out.values()] == [1]
    assert counts.is_balanced
    assert len(keys(open_manifest(url))) == 6

    strict, again = config(dataset, max_failed_fraction=0.2), str(tmp_path / "again")
    plan_all(strict, again)
    whole = (raw / "a.mp4").rename(tmp_path / "a.mp4")
    write_video(raw / "a.mp4", num_frames=49)
    for _ in range(2):  # the second finds the failures of the first on record
        with pytest.raises(
            InputError,
            match=r"max_failed_fraction=0.2: is exceeded: 3 of 6 clips of films failed \(3 x the file has changed",
        ):
            prepare(strict, again)
    shutil.move(whole, raw / "a.mp4")
    url = prepare(strict, again, retry_failed=True)["films"]
    assert (stats(url).num_samples, stats(url).failed, verify(url).problems) == (6, {}, ())


@pytest.mark.drill
def test_a_killed_driver_is_restarted_and_nothing_is_lost_or_doubled(cluster: None, tmp_path: Path) -> None:
    """kill -9 in mid-run, on a cluster of its own; what was committed is not made again."""
    from videoar.data_pipeline.preparing.prepare import prepare

    data, out = config(shapes(num_clips=80)), str(tmp_path / "out")
    driver = start_driver(data, tmp_path, out)
    commits = tmp_path / "out" / "shapes" / "commits"
    deadline = time.monotonic() + 120
    while len(list(commits.glob("*.json"))) < 3 and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    done = {path.name: path.read_bytes() for path in commits.glob("*.json")}
    assert 3 <= len(done) < 20, "the run should be interrupted in the middle"

    prepare(data, out)
    assert is_whole(f"{out}/shapes", 80)
    assert {name: (commits / name).read_bytes() for name in done} == done, "what was committed was made again"


@pytest.mark.drill
def test_parts_make_every_shard_once_and_the_last_one_finishes(cluster: None, tmp_path: Path) -> None:
    """Jobs of an array share a dataset: a shard that two of them make is paid twice; one that none makes is lost."""
    from videoar.data_pipeline.preparing.prepare import prepare

    data, out = config(shapes(num_clips=10), samples_per_shard=2), str(tmp_path / "out")
    with pytest.raises(
        InputError, match=r"part=.*shapes: has no plan to make a part of; run `videoar data plan` first"
    ):
        prepare(data, out, part=Part(1, 2))
    plan_all(data, out)
    for number, made in ((2, 2), (1, 5)):
        url = prepare(data, out, part=Part(number, 2))["shapes"]
        assert len(list(Path(url, "shards").iterdir())) == made
        assert Path(url, "dataset.json").exists() is (number == 1)
    assert len(open_manifest(url).entries) == 10
