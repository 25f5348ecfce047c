"""Clips that are decoded when they are needed: what replaces a file that cannot be used, and what it costs."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig
from videoar.data_pipeline.decoding.client import DecodeError, VideoDecoder
from videoar.data_pipeline.tokenizer_clips import decoded
from videoar.data_pipeline.tokenizer_clips.batches import RandomClips

from ..processes import family
from ..videos import write_frames, write_video
from .recipes import VIDEO, recipe_of

EIGHT = range(8)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two films among broken files."""
    folder = tmp_path / "mixed"
    write_video(folder / "b.mp4", num_frames=30)
    write_video(folder / "d.mp4", num_frames=30)
    (folder / "a.mp4").write_bytes(bytes(range(200)))
    (folder / "c.mp4").write_bytes((folder / "b.mp4").read_bytes()[:1000])
    return folder


@pytest.mark.slow
def test_a_broken_file_is_replaced_and_remembered_without_changing_a_clip(
    mixed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that resumes at step 2 has met no broken file yet, and must draw the same clips as one that has."""
    probed: list[str] = []
    probe = VideoDecoder.probe
    monkeypatch.setattr(VideoDecoder, "probe", lambda self, path: probed.append(Path(path).name) or probe(self, path))
    recipe = recipe_of(mixed, buckets=[VIDEO], steps=4, batch_size=8)
    with RandomClips(recipe) as clips:
        batches = [clips(step, EIGHT) for step in range(4)]
    assert [probed.count(name) for name in ("a.mp4", "c.mp4")] == [1, 1]
    assert probed.count("b.mp4") + probed.count("d.mp4") == 32
    with RandomClips(recipe) as resumed:
        assert all(torch.equal(resumed(step, EIGHT), batches[step]) for step in (2, 3))
    lines = [record.getMessage() for record in caplog.records]
    assert all(line.count("\n") == 0 and str(mixed) in line for line in lines)
    assert len(lines) == 2, "one a process: the second file is not news"
    assert "1 file of" in lines[0]
    assert any(name in lines[0] for name in ("a.mp4: ", "c.mp4: "))


def test_a_source_without_a_usable_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """Draws without end would look like a slow disk; with another source in the recipe its weight would be lost."""
    good = write_video(tmp_path / "good" / "a.mp4", num_frames=20).parent
    for i in range(5):
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / f"{i}.mp4").write_bytes(b"no film")
    with RandomClips(recipe_of(good, tmp_path / "bad", buckets=[VIDEO], steps=1)) as clips:
        with pytest.raises(
            InputError, match=r"^clips\.1\.source\.path=.*bad: gave no clip in 256 draws \(5 files"
        ) as caught:
            clips(0, EIGHT)
        assert "\n" not in str(caught.value)
        assert str(caught.value).count(".mp4: ") == 4, "a few examples"


def test_a_folder_that_is_gone_stops_training(mixed: Path) -> None:
    """A disk that is not mounted is no reason to call 13,320 files broken."""
    with RandomClips(recipe_of(mixed, buckets=[VIDEO], steps=2, batch_size=8)) as clips:
        shutil.rmtree(mixed)
        with pytest.raises(StoreError, match="does not exist, or is empty"):
            clips(1, EIGHT)


def test_nothing_runs_after_closing(films: Path) -> None:
    """Threads and decoders of a run that ended, or was stopped in the middle, would hold memory and files."""

    def running() -> set[int]:
        return {pid for pid, name in family(os.getpid()).items() if "sandbox.main" in name}

    before = running()
    with RandomClips(recipe_of(films, buckets=[VIDEO], steps=100, decode_processes=2)) as clips:
        clips(0, range(2))
        assert running() > before
    assert running() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


@pytest.mark.slow
def test_a_killed_decoder_is_started_again(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel that is short of memory kills decoders; the clip is the same as without that."""
    recipe = recipe_of(films, buckets=[VIDEO], steps=1)
    with RandomClips(recipe) as clips:
        wanted = clips(0, range(4))
    write, cuts = VideoDecoder._write, []

    def killed(self: VideoDecoder, request: dict[str, Any]) -> None:
        if request["kind"] == "cut":
            cuts.append(request)
        if request["kind"] == "cut" and len(cuts) == 2 and self._process is not None:
            self._process.kill()
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        write(self, request)

    monkeypatch.setattr(VideoDecoder, "_write", killed)
    with RandomClips(recipe) as clips:
        assert torch.equal(clips(0, range(4)), wanted)
    assert len(cuts) == 5, "the second was asked for again"


def test_a_file_that_takes_all_time_is_tried_once(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise training would stand still for the decoder's time limit whenever it is drawn."""
    clock, tried, cut_all = [0.0], [], VideoDecoder.cut_all

    def slow(self: VideoDecoder, path: str, *arguments: Any) -> Any:
        tried.append(Path(path).name)
        if path.endswith("b.mp4"):
            clock[0] += 121.0
            raise DecodeError("took longer than 120 s and was stopped")
        return cut_all(self, path, *arguments)

    monkeypatch.setattr(VideoDecoder, "cut_all", slow)
    monkeypatch.setattr(decoded, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with RandomClips(recipe_of(mixed, buckets=[VIDEO], steps=1, batch_size=8)) as clips:
        clips(0, EIGHT)
    assert (tried.count("b.mp4"), tried.count("d.mp4")) == (1, 8)


def test_a_short_film_repeats_its_last_frame(tmp_path: Path) -> None:
    """Three frames at 8 a second fill a clip of five."""
    write_video(tmp_path / "short.mp4", num_frames=8)
    with RandomClips(recipe_of(tmp_path, buckets=[VIDEO], steps=1)) as clips:
        levels = (clips(0, range(1)).mean(dim=(1, 3, 4))[0] + 1) * 127.5 / 4
    assert levels.round().tolist() == [0, 3, 6, 6, 6]


@pytest.mark.slow
def test_a_clip_shows_part_of_the_frame(tmp_path: Path) -> None:
    """Crops at 1 to `zoom` times the bucket, anywhere; mirrored and reversed ones; all frames of a clip alike."""
    rows, columns = np.mgrid[0:128, 0:128]
    still = np.stack([rows * 2, columns * 2, 0 * rows], axis=-1).astype(np.uint8)
    write_frames(tmp_path / "ramp.mp4", [still] * 20)
    augment = AugmentConfig(zoom=4.0, flip=True, reverse=True)
    with RandomClips(recipe_of(tmp_path, buckets=[VIDEO], steps=1, batch_size=24, augment=augment)) as clips:
        found = (clips(0, range(24)) + 1) * 127.5
    assert (found - found[:, :, :1]).abs().max() < 12
    ranges = found[:, 0, 0].mean(dim=2).amax(dim=1) - found[:, 0, 0].mean(dim=2).amin(dim=1)
    assert ranges.min() < 100, "a quarter of the frame's height is 64"
    assert ranges.max() > 180
    rises = found[:, 1, 0, :, -1].mean(dim=1) - found[:, 1, 0, :, 0].mean(dim=1)
    assert 4 < (rises < 0).sum() < 20, "half of them are mirrored"
    assert len(found[:, 0, 0].mean(dim=(1, 2)).round().unique()) > 12, "from all places"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    """Held in memory, 200 films of this size take 150 MB."""
    first = write_video(tmp_path / "films" / "0.mp4", num_frames=15, size=(128, 128))
    for i in range(1, 200):
        os.link(first, tmp_path / "films" / f"{i}.mp4")
    bucket = replace(VIDEO, schedule="128x128")
    with RandomClips(recipe_of(tmp_path / "films", buckets=[bucket], steps=36, batch_size=4)) as clips:
        for step in range(12):  # libraries, decoders and what waits: small batches, however many of them
            clips(step, range(4))
        before = resident_bytes()
        for step in range(12, 36):
            clips(step, range(4))
        assert resident_bytes() - before < 40 << 20, "96 more clips were decoded"


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
