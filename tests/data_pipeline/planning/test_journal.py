"""A planning that was stopped goes on where it was, and gives the plan that one without a stop gives."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, DuplicateConfig, FilterConfig, ShotConfig, SourceConfig
from videoar.data_pipeline.decoding.client import VideoDecoder
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.examine import Examined, Examiner
from videoar.data_pipeline.planning.stored_plan import Plan, ensure_plan
from videoar.data_pipeline.sources.source import Source
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.config import ClipBucket

from ...forked import Forked
from ..datasets import BUCKET, FORMAT, LIMITS, dataset
from ..videos import picture, scene, write_frames
from .test_stored_plan import SHARDS, contents

NUM_PICTURES = 12


class Stopped(Exception):
    """What ends a planning in these tests."""


class Watch:
    """Counts the files that are examined, and ends the process or raises at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.examined: list[str] = []
        self.stop_at: int | None = None
        self.end = self._raise
        examine = Examiner.examine

        def watched(own: Examiner, sources: Sequence[Source], decoder: VideoDecoder) -> list[Examined]:
            if len(self.examined) == self.stop_at:
                self.end()
            self.examined.append(sources[0].path)
            return examine(own, sources, decoder)

        if monkeypatch is not None:
            monkeypatch.setattr(Examiner, "examine", watched)
        else:
            Examiner.examine = watched  # type: ignore[method-assign]

    def _raise(self) -> None:
        raise Stopped


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(NUM_PICTURES):
        write_frames(folder / f"{seed:02d}.png", [picture(seed, (32, 32))])
    return folder


def of_pictures(folder: Path) -> DatasetConfig:
    return dataset(folder, bucket=ClipBucket(schedule="32x32", num_frames=1))


def planned(out: str | Path, config: DatasetConfig, done: list[tuple[int, int]] | None = None) -> Plan:
    def on_progress(accounts: Accounts) -> None:
        if done is not None:
            done.append((accounts.num_done, accounts.num_recalled))

    return ensure_plan(Storage.open(str(out)), config, FORMAT, SHARDS, LIMITS, on_progress=on_progress)


def stopped(watch: Watch, out: str | Path, config: DatasetConfig, at: int) -> None:
    """A planning that ends when it begins the file after `at` files."""
    watch.examined.clear()
    watch.stop_at = at
    with pytest.raises(Stopped):
        planned(out, config)
    watch.stop_at = None
    watch.examined.clear()


def killed(out: str, config: DatasetConfig) -> None:
    watch = Watch()
    watch.stop_at, watch.end = 5, lambda: os.kill(os.getpid(), signal.SIGKILL)
    planned(out, config)


@pytest.mark.slow
def test_after_kill_9_only_the_rest_is_examined(watch: Watch, pictures: Path, tmp_path: Path) -> None:
    """A plan of a petabyte takes days, and machines are lost; nothing may depend on an orderly end."""
    config = of_pictures(pictures)
    process = Forked(killed, str(tmp_path / "out"), config)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "plan.json").exists()
    done: list[tuple[int, int]] = []
    planned(tmp_path / "out", config, done)
    assert watch.examined == [f"{seed:02d}.png" for seed in range(5, NUM_PICTURES)]
    assert done[-1] == (NUM_PICTURES, 5)
    planned(tmp_path / "straight", config)
    assert contents(tmp_path / "out") == contents(tmp_path / "straight"), "and nothing else is left there"


@pytest.mark.slow
def test_films_with_shots_duplicates_and_scores_come_out_the_same(watch: Watch, tmp_path: Path) -> None:
    """What was examined before the stop is compared with what comes after it."""
    folder = tmp_path / "raw"
    for name, seed in (("a", 0), ("b", 1), ("c", 0), ("d", 2)):
        write_frames(folder / f"{name}.mp4", scene(seed, 30) + scene(seed + 7, 10))
    (folder / "bad.mp4").write_bytes(b"no film")
    config = dataset(
        folder,
        shots=ShotConfig(detector="content"),
        duplicates=DuplicateConfig(method="hash"),
        filters=FilterConfig(min_motion=0.01),
        flip=True,
    )
    stopped(watch, tmp_path / "out", config, at=3)
    planned(tmp_path / "out", config)
    assert watch.examined == ["bad.mp4", "c.mp4", "d.mp4"], "what cannot be opened may have been repaired since"
    planned(tmp_path / "straight", config)
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


@pytest.mark.slow
def test_a_table_on_another_store_resumes_too(
    watch: Watch, pictures: Path, tmp_path: Path, memory: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a cluster is written to S3; a table does not say whether its files have changed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "clips.csv").write_text("uri,caption\n" + "".join(f"{path},x\n" for path in sorted(pictures.iterdir())))
    config = DatasetConfig(
        name="clips",
        source=SourceConfig(kind="table", path=str(tmp_path / "clips.csv")),
        bucket=ClipBucket(schedule="32x32", num_frames=1),
    )
    stopped(watch, memory.url, config, at=4)
    (kept,) = tmp_path.glob("videoar-plans-*/*")
    assert kept.parent.stat().st_mode & 0o77 == 0
    changed = sorted(pictures.iterdir())[1]
    before = changed.stat()
    try:
        os.utime(changed, (0, 0))
        planned(memory.url, config)
    finally:
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [Path(path).name for path in watch.examined] == ["01.png", *(f"{n:02d}.png" for n in range(4, NUM_PICTURES))]
    assert not kept.exists()


@pytest.mark.slow
def test_damage_and_other_settings_begin_anew(watch: Watch, pictures: Path, tmp_path: Path) -> None:
    """A record that was not written to its end, or damaged on the disk, must not become part of a plan."""
    config, kept = of_pictures(pictures), tmp_path / "out" / ".examined"
    stopped(watch, tmp_path / "out", config, at=6)
    raw = kept.read_bytes()
    kept.write_bytes(raw[:-7])
    stopped(watch, tmp_path / "out", config, at=2)
    assert kept.read_bytes()[: len(raw)] == raw, "the torn record was cut off, and written again"
    kept.write_bytes(raw[:200] + bytes([raw[200] ^ 1]) + raw[201:])
    planned(tmp_path / "out", config)
    assert len(watch.examined) == NUM_PICTURES
    (tmp_path / "out" / "plan.json").unlink()
    stopped(watch, tmp_path / "out", config, at=6)
    flipped = dataset(pictures, bucket=config.bucket, flip=True)
    stopped(watch, tmp_path / "out", flipped, at=1)
    assert len(kept.read_bytes()) < len(raw) / 3
    planned(tmp_path / "out", flipped)
    assert len(watch.examined) == NUM_PICTURES - 1
    assert not kept.exists()


@pytest.mark.slow
def test_two_planners_at_once(watch: Watch, pictures: Path, tmp_path: Path) -> None:
    """One command was started twice: both make the same plan, and neither reads what the other is writing."""
    config, out = of_pictures(pictures), tmp_path / "out"
    second: list[Plan] = []

    def begin_another() -> None:
        watch.stop_at = None
        second.append(planned(out, config))
        (out / "plan.json").unlink()

    watch.stop_at, watch.end = 6, begin_another
    assert planned(out, config).identity == second[0].identity
    assert len(watch.examined) == 2 * NUM_PICTURES
    assert not (out / ".examined").exists()


def test_a_refused_source_leaves_nothing_behind(tmp_path: Path) -> None:
    """Of inputs that give no clip, none is worth to be remembered; the folder may have been mistyped."""
    write_frames(tmp_path / "raw" / "a.png", [picture(0, (32, 32))])
    with pytest.raises(InputError, match="gives no clip"):
        planned(tmp_path / "out", dataset(tmp_path / "raw", bucket=BUCKET))
    assert not (tmp_path / "out").exists()
