from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from videoar.data_pipeline.config.datasets import DuplicateConfig, PluginConfig
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.planning.duplicates import SeenClips, look_of_vector

from ..datasets import BUCKET, LIMITS, dataset
from ..videos import picture, resized, scene, write_frames


def test_near_duplicates_are_found_and_distinct_clips_are_kept(tmp_path: Path) -> None:
    """Copies in another size or encoding are memorised; two different films must both stay."""
    for seed in range(6):
        write_frames(tmp_path / f"{seed}.mp4", scene(seed, 30))
    write_frames(tmp_path / "copies" / "encoded.mkv", scene(0, 30), crf=32)
    write_frames(tmp_path / "copies" / "small.avi", resized(scene(1, 30), (48, 64)))
    write_frames(tmp_path / "copies" / "large.mp4", resized(scene(2, 30), (192, 256)), crf=28)
    write_frames(tmp_path / "copies" / "mirrored.mp4", [frame[:, ::-1] for frame in scene(3, 30)])
    (tmp_path / "copies" / "same.mp4").write_bytes((tmp_path / "4.mp4").read_bytes())
    config = dataset(tmp_path, duplicates=DuplicateConfig(method="hash"))
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.path for clip in clips} == {*(f"{seed}.mp4" for seed in range(6)), "copies/mirrored.mp4"}
    assert {item.source for item in skipped if item.is_input} == {
        f"copies/{name}" for name in ("encoded.mkv", "small.avi", "large.mp4", "same.mp4")
    }


def test_images_are_compared_too(tmp_path: Path) -> None:
    """The same picture under two names must be taken once."""
    write_frames(tmp_path / "a.png", [picture(0)])
    write_frames(tmp_path / "b.jpg", resized([picture(0)], (64, 80)))
    write_frames(tmp_path / "c.png", [picture(1)])
    bucket = replace(BUCKET, num_frames=1)
    clips, _ = plan_clips(dataset(tmp_path, bucket=bucket, duplicates=DuplicateConfig(method="hash")), LIMITS)
    assert [clip.path for clip in clips] == ["a.png", "c.png"]


def test_plain_and_dark_pictures_repeat_nothing(tmp_path: Path) -> None:
    """A ball on white and another ball on white have nearly the same hash, and so has every night."""
    for number, (ground, colour) in enumerate([(250, (220, 30, 30)), (250, (30, 30, 220)), (8, (20, 22, 30))]):
        pixels = np.full((64, 64, 3), ground, np.uint8)
        pixels[10 * number + 8 : 10 * number + 24, 20:36] = colour
        write_frames(tmp_path / f"{number}.png", [pixels])
    bucket = replace(BUCKET, num_frames=1)
    clips, skipped = plan_clips(dataset(tmp_path, bucket=bucket, duplicates=DuplicateConfig(method="hash")), LIMITS)
    assert (len(clips), skipped) == (3, [])


def test_banded_search_finds_what_comparing_all_pairs_finds() -> None:
    """A pair that shares no band is not compared: the duplicate would stay."""
    draws = np.random.default_rng(0)
    config = DuplicateConfig(method="embedding", embedding=PluginConfig(name="e", plugin="x:Y"), min_cosine=0.95)
    seen, vectors = SeenClips(config), draws.normal(size=(300, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for i, vector in enumerate(vectors):
        assert seen.find(look_of_vector(vector), f"file{i}") == ""
        seen.add(look_of_vector(vector), f"file{i}", f"key{i}")
    noisy = vectors + draws.normal(scale=0.02, size=vectors.shape).astype(np.float32)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    near = (noisy * vectors).sum(axis=1) >= 0.95
    found = [seen.find(look_of_vector(vector), "other") == f"key{i}" for i, vector in enumerate(noisy)]
    assert near.sum() > 250
    assert np.mean(np.array(found)[near]) > 0.98
    assert not np.array(found)[~near].any()
    assert seen.find(look_of_vector(vectors[0]), "file0") == "", "a film is not its own copy"
