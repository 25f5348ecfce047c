"""Actors that die, hang or cannot start, on a real Ray cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import open_manifest
from videoar.data_pipeline.preparing.gc import gc
from videoar.data_pipeline.preparing.prepare import DataProgress, prepare
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.preparing.verify import verify
from videoar.data_pipeline.preparing.worker import UnitResult, UnitWorker
from videoar.data_pipeline.shards.commits import Unit
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource
from videoar.tokenizer.pixels import from_bytes

from ..jobs import config, contents, is_whole, keys, make_shards, shapes
from ..processes import actors

pytestmark = pytest.mark.slow


def poison(marker: Path) -> Callable[[TokenizerSource], VideoTokenizer]:
    """An opener of tokenizers that die, with their process, over one clip; each death leaves a line in the marker."""

    def opener(source: TokenizerSource) -> VideoTokenizer:
        tokenizer = open_tokenizer(source)
        target = from_bytes(torch.from_numpy(draw_clip(0, 6, shapes().bucket))[None])[0]
        encode = tokenizer.encode

        def deadly(video: torch.Tensor) -> torch.Tensor:
            if (video == target).flatten(1).all(1).any():
                with open(marker, "a") as file:
                    file.write("died\n")
                os.kill(os.getpid(), signal.SIGKILL)
            return encode(video)

        tokenizer.encode = deadly
        return tokenizer

    return opener


def test_a_clip_that_kills_its_worker_is_quarantined_alone(cluster: None, tmp_path: Path) -> None:
    """Retried forever it would stop the job; dropped with its shard it would take good clips along."""
    from videoar.data_pipeline.preparing.prepare import prepare

    marker = tmp_path / "deaths"
    url = prepare(config(shapes(), max_attempts=2, samples_per_shard=2), str(tmp_path / "out"), opener=poison(marker))[
        "shapes"
    ]
    assert stats(url).failed == {"killed its worker 2 times": 1}
    assert keys(open_manifest(url)) == [f"shape_{i:08d}" for i in range(10) if i != 6]
    assert verify(url).problems == ()
    assert len(marker.read_text().splitlines()) == 2 * 2, "a shard of two clips, then one: two deaths each"


class _LastWords(UnitWorker):
    """Commits a unit and dies before it can say so."""

    def run(self, name: str, unit: Unit) -> UnitResult:
        super().run(name, unit)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process still runs")


def test_a_worker_that_dies_after_its_commit_has_done_its_unit(cluster: None, tmp_path: Path) -> None:
    """Blamed for the death, what is made would be halved and made again; each death here follows a commit."""
    from videoar.data_pipeline.preparing.prepare import prepare

    data = config(shapes(num_clips=4), max_attempts=2, samples_per_shard=2, actors=1)
    url = prepare(data, str(tmp_path / "out"), runner=_LastWords)["shapes"]
    assert sorted(Storage.open(url).keys("commits")) == ["commits/000000.json", "commits/000001.json"]
    assert len(Storage.open(url).keys("shards")) == 2, "a unit was made twice"
    assert stats(url).failed == {}


def test_an_actor_that_cannot_start_is_the_jobs_failure(cluster: None, tmp_path: Path) -> None:
    """Counted as deaths, missing weights would quarantine every clip, three deaths each."""
    from videoar.data_pipeline.preparing.prepare import prepare

    driver = os.getpid()

    def opener(source: TokenizerSource) -> VideoTokenizer:
        if os.getpid() != driver:
            raise InputError("data.tokenizer.path", "gone", "is not there", "give it")
        return open_tokenizer(source)

    with pytest.raises(InputError, match="is not there"):
        prepare(config(shapes()), str(tmp_path / "out"), opener=opener)


def test_killed_actors_cost_nothing_and_three_give_the_bytes_of_one(cluster: None, tmp_path: Path) -> None:
    """kill -9 of every actor in the middle of a run, then of one again; the shards are those of an undisturbed one."""
    make_shards(config(shapes(num_clips=48)), tmp_path / "one")
    due = [(2, 3), (6, 1)]

    def kill(now: DataProgress) -> None:
        """At the first report of this many units or more: on a busy machine one report may count several."""
        if due and now.num_units_done >= due[0][0] and (pids := actors(os.getpid())):
            for pid in sorted(pids)[-due.pop(0)[1] :]:  # the newest, which were not killed before
                os.kill(pid, signal.SIGKILL)

    three = prepare(config(shapes(num_clips=48), actors=3), str(tmp_path / "three"), progress=kill)["shapes"]
    assert not due, "there was nothing to kill"
    assert is_whole(three, 48)
    assert stats(three).failed == {}
    gc(three, min_age_s=0.0)
    assert contents(three) == contents(str(tmp_path / "one" / "shapes"))


def hanging(marker: Path, times: int) -> Callable[[TokenizerSource], VideoTokenizer]:
    """An opener of tokenizers that hang over one clip, a given number of times."""

    def opener(source: TokenizerSource) -> VideoTokenizer:
        tokenizer = open_tokenizer(source)
        target = from_bytes(torch.from_numpy(draw_clip(0, 6, shapes().bucket))[None])[0]
        encode = tokenizer.encode

        def hang(video: torch.Tensor) -> torch.Tensor:
            if (video == target).flatten(1).all(1).any():
                before = marker.read_text() if marker.exists() else ""
                if before.count("hung") < times:
                    marker.write_text(before + "hung\n")
                    time.sleep(3600)
            return encode(video)

        tokenizer.encode = hang
        return tokenizer

    return opener


@pytest.mark.drill
@pytest.mark.parametrize(("times", "failed"), [(1, {}), (9, {"hung its worker for 3 s, 2 times": 1})])
def test_a_hung_tokenizer_is_ended_and_its_unit_made_again(
    cluster: None, tmp_path: Path, times: int, failed: dict[str, int]
) -> None:
    """Without a deadline a job of days would hang forever on one clip."""
    data = config(shapes(), max_attempts=2, samples_per_shard=1, actors=2, decode_timeout_s=2.0, stall_timeout_s=3.0)
    url = prepare(data, str(tmp_path / "out"), opener=hanging(tmp_path / "marker", times))["shapes"]
    assert stats(url).failed == failed
    lost = {"shape_00000006"} if failed else set()
    assert keys(open_manifest(url)) == [f"shape_{i:08d}" for i in range(10) if f"shape_{i:08d}" not in lost]
    assert verify(url).problems == ()
