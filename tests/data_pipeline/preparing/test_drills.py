"""Faults on purpose, on real processes, disks and a real store: nothing lost, nothing doubled, the reason on record."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.s3_server import BUCKET, S3Server, S3Store
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.prepare import prepare
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.preparing.verify import verify
from videoar.data_pipeline.shards.commits import COMMITS, Unit
from videoar.data_pipeline.storage.objects import Storage

from ..jobs import config, films, is_whole, num_commits, shapes, start_driver
from ..processes import actors, family
from ..videos import write_video

pytestmark = pytest.mark.slow


def test_hostile_and_damaged_films_are_rows_with_a_reason(cluster: None, tmp_path: Path) -> None:
    """A decoder that dies, hangs or eats memory, and files that break after planning: the others come through."""
    raw, out = tmp_path / "raw", str(tmp_path / "out")
    for name in ("good", "segfault", "hang", "memory", "cut", "rot", "none"):
        write_video(raw / f"{name}.mp4")
    (raw / "list.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (raw / "hls.mp4").write_text("#EXTM3U\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n")
    data = config(films(raw), decode_timeout_s=6.0, max_failed_fraction=0.95, actors=2)
    plan_all(data, out)
    _damage(raw)
    url = prepare(data, out)["films"]
    counts = stats(url)
    assert counts.num_planned == 21
    assert counts.num_samples + counts.num_failed == 21
    told = " | ".join(counts.failed)
    for reason in ("signal 11", "longer than 6 s", "MemoryError"):
        assert reason in told
    assert counts.num_samples >= 3, f"the good film's clips: {counts.failed}"
    assert counts.num_skipped == 2, "a list of other files is not a film, even if its name is that of one"
    assert verify(url).problems == ()


def _damage(raw: Path) -> None:
    """Cut, rot and empty three files without touching size and time, which would be noticed before decoding."""
    for name in ("cut", "rot", "none"):
        path = raw / f"{name}.mp4"
        status, payload = path.stat(), bytearray(path.read_bytes())
        start = {"cut": len(payload) // 2, "rot": len(payload) // 3, "none": 0}[name]
        payload[start:] = bytes(len(payload) - start)
        path.write_bytes(payload)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.drill
def test_a_listing_may_be_stale_both_ways(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores list late. A commit not listed yet is found by name, not made twice; one listed but gone is made again."""
    data, out = config(shapes(num_clips=12)), str(tmp_path / "out")
    url = prepare(data, out)["shapes"]
    (dataset := Path(url) / "dataset.json").unlink()
    first, hidden, gone = (Path(url) / COMMITS / f"00000{i}.json" for i in range(3))
    before = {path: path.read_bytes() for path in (first, hidden)}
    gone.unlink()
    listed, calls = Storage.keys, []

    def stale(storage: Storage, prefix: str) -> tuple[str, ...]:
        found = set(listed(storage, prefix))
        if prefix == COMMITS and len(calls) < 3:
            calls.append(prefix)
            found = found - {f"{COMMITS}/{hidden.name}"} | {f"{COMMITS}/{gone.name}"}
        return tuple(sorted(found))

    monkeypatch.setattr(Storage, "keys", stale)
    assert prepare(data, out)["shapes"] == url
    assert dataset.exists()
    assert is_whole(url, 12)
    assert {path: path.read_bytes() for path in before} == before, "what was committed is not made again"
    assert Unit(2, 0, 4).name in {path.name.split(".")[0] for path in (Path(url) / "shards").iterdir()}


@pytest.mark.drill
def test_an_s3_server_killed_in_mid_put_and_started_again(
    cluster: None, s3_server: S3Server, s3: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of the store while shards are being written, twice: the actors wait for it and continue."""
    killer = threading.Thread(target=_kill_and_restart, args=(s3_server, s3.url + "/shapes"))
    killer.start()
    out = prepare(config(shapes(num_clips=80), actors=2, samples_per_shard=2), s3.url)["shapes"]
    killer.join()
    assert out.startswith(f"s3://{BUCKET}/")
    assert is_whole(out, 80)
    assert stats(out).failed == {}
    gc(out, min_age_s=0.0)
    assert len(Storage.open(out).keys("shards")) == 40


def _kill_and_restart(server: S3Server, url: str) -> None:
    for wanted in (4, 16):
        while num_commits(url) < wanted:
            time.sleep(0.02)
        server.kill()
        time.sleep(1.0)
        server.start()


@pytest.mark.drill
def test_two_drivers_on_one_plan_leave_one_dataset(tmp_path: Path) -> None:
    """Somebody starts the same job twice; both end well, and clearing up afterwards takes nothing that is needed."""
    data, out = config(shapes(num_clips=160), actors=2), str(tmp_path / "out")
    plan_all(data, out)
    drivers = [start_driver(data, tmp_path, out) for _ in range(2)]
    said = [driver.communicate(timeout=300)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    url = f"{out}/shapes"
    assert is_whole(url, 160)
    gc(url, min_age_s=0.0)
    assert is_whole(url, 160)


@pytest.mark.drill
def test_a_killed_driver_leaves_no_process_behind(tmp_path: Path) -> None:
    """kill -9 of the driver alone: its cluster must stop working and free its memory."""
    driver = start_driver(config(shapes(num_clips=400)), tmp_path, str(tmp_path / "out"))
    deadline = time.monotonic() + 120
    while num_commits(str(tmp_path / "out" / "shapes")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    below = set(family(driver.pid)) - {driver.pid}
    assert actors(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    while (left := {pid for pid in below if Path(f"/proc/{pid}/exe").exists()}) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


@pytest.mark.drill
def test_a_full_disk_stops_the_job_and_room_lets_it_go_on(tmp_path: Path) -> None:
    """A real file system of two megabytes: one clear line, and what was committed is kept."""
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system in a namespace of their own")
    run = (
        f"{sys.executable} -m videoar.cluster.entry data run debug --output {tmp_path}/disk "
        "--data.latent fp16 --data.samples_per_shard 2"
    )
    script = (
        f"mkdir {tmp_path}/disk && mount -t tmpfs -o size=300k none {tmp_path}/disk; {run}; echo first $?; "
        f"find {tmp_path}/disk -name '*.part'; mount -o remount,size=64m {tmp_path}/disk; {run}; echo second $?; "
        f"{sys.executable} -m videoar.cluster.entry data verify {tmp_path}/disk; echo third $?"
    )
    done = subprocess.run([*unshare, script], capture_output=True, text=True, check=True, timeout=300)
    assert "first 1\n" in done.stdout, done
    assert "the disk is full; free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert ".part" not in done.stdout
    assert "second 0\n" in done.stdout
    assert "third 0\n" in done.stdout


@pytest.mark.drill
def test_a_secret_appears_nowhere(s3: S3Store, tmp_path: Path) -> None:
    """The canary is the key that opens the store, in the environment of every process; debug logs are switched on."""
    canary = s3.environment["AWS_SECRET_ACCESS_KEY"]
    logs = Path(tempfile.mkdtemp(prefix="ray"))  # Ray's sockets must have short names
    environment = {**os.environ, "RAY_TMPDIR": str(logs), "TMPDIR": str(tmp_path)}
    data = config(shapes(), films(tmp_path / "never"))
    failing = start_driver(data, tmp_path, s3.url, "-v", environment=environment)
    said = failing.communicate(timeout=200)[0]
    assert failing.returncode
    working = start_driver(config(shapes()), tmp_path, s3.url, "-v", environment=environment)
    said += working.communicate(timeout=200)[0]
    assert working.returncode == 0, said
    assert "botocore" in said, "debug logs are on"
    texts = [path.read_bytes() for root in (tmp_path, logs) for path in root.rglob("*") if path.is_file()]
    shutil.rmtree(logs)
    texts += [Storage.open(s3.url).read(key) for key in Storage.open(s3.url).keys("")]
    assert len(texts) > 10
    for text in [said.encode(), *texts]:
        assert canary.encode() not in text
