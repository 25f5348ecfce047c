"""Names, numbers and seeds of the videos that VBench reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.made_videos.folder import list_signature, make_videos
from videoar.pretrain.evaluate.made_videos.of_vbench import WantedVideo, find_images, read_prompts, wanted_videos
from videoar.pretrain.generate import Request, Video


class Noise:
    """Makes videos that depend on the seed and the prompt alone, and notes both."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, int]] = []

    def batch(self, requests: Sequence[Request]) -> list[Video]:
        videos = []
        for request in requests:
            self.asked.append((request.prompt, request.seed))
            generator = np.random.default_rng([request.seed, *str(request.prompt).encode()])
            videos.append(Video(generator.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8), 8.0))
        return videos


def test_the_suite_counts_as_vbench_counts(tmp_path: Path) -> None:
    """946 entries of 944 prompts: one that judges flickering has 25 videos, also if another entry has five."""
    entries = [("a cat", "object_class"), ("a still lake", "scene"), ("a still lake", "temporal_flickering")]
    path = tmp_path / "info.json"
    path.write_text(json.dumps([{"prompt_en": prompt, "dimension": [name]} for prompt, name in entries]))
    assert read_prompts(path) == {"a cat": 5, "a still lake": 25}
    assert [video.name for video in wanted_videos({"a cat": 2})] == ["a cat-0.mp4", "a cat-1.mp4"]


def test_seeds_differ_by_prompt_index_and_seed() -> None:
    """Five equal videos of a prompt would be one sample."""
    videos = [WantedVideo(prompt, index) for prompt in ("a cat", "a dog") for index in range(5)]
    assert len({video.request(Request(seed=seed)).seed for video in videos for seed in (0, 1)}) == 20
    assert WantedVideo("a cat", 1).request(Request(seed=7)).seed == 6594516384441223429, (
        "a folder that was begun is completed"
    )


def test_parts_give_what_one_run_gives(tmp_path: Path) -> None:
    """A video must not depend on who made it, or with which others; one that is there is not made again."""
    one, two = tmp_path / "one", tmp_path / "two"
    wanted, sampled = wanted_videos({"a cat": 3, "a dog": 3}), Request(seed=7)
    for folder in (one, two):
        folder.mkdir()
    alone, shared = Noise(), Noise()
    assert list(make_videos(alone, wanted, one, sampled, batch=4)) == [0, 4, 6]
    assert list(make_videos(shared, wanted[::2], two, sampled, batch=1)) == [0, 1, 2, 3]
    assert list(make_videos(shared, wanted, two, sampled, batch=2)) == [3, 5, 6]
    assert sorted(alone.asked) == sorted(shared.asked)  # pixels, not bytes: the encoder's depend on memory
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    assert len({path.read_bytes() for path in one.iterdir()}) == 6


def test_prompts_of_vbench_i2v_have_a_picture(tmp_path: Path) -> None:
    """Seven camera motions share the picture of their scene, whose entry may name it."""
    plain, motion = "a pier", "a pier, camera tilts down"
    named = {"prompt_en": "a lake", "dimension": ["i2v_background"], "image_name": "Lake 1.jpg"}
    info = tmp_path / "info.json"
    info.write_text(json.dumps([*({"prompt_en": prompt, "dimension": []} for prompt in (plain, motion)), named]))
    for name in ("a pier.jpg", "Lake 1.jpg"):
        (tmp_path / name).touch()
    prompts = read_prompts(info)
    images = find_images(info, prompts, tmp_path)
    assert {prompt: path.name for prompt, path in images.items()} == {
        plain: "a pier.jpg", motion: "a pier.jpg", "a lake": "Lake 1.jpg"
    }  # fmt: skip
    assert [video.image for video in wanted_videos({motion: 2}, images)] == [tmp_path / "a pier.jpg"] * 2
    before = list_signature(wanted_videos(prompts, images))
    (tmp_path / "a pier.jpg").write_bytes(b"another picture")
    assert list_signature(wanted_videos(prompts, images)) != before, "the same name does not make it the same picture"
    (tmp_path / "a pier.jpg").unlink()
    with pytest.raises(InputError, match=r"images=.*a pier.jpg: is not there, and 2 of 3 prompts lack a picture"):
        find_images(info, prompts, tmp_path)


def test_a_picture_without_a_name_is_refused(tmp_path: Path) -> None:
    """`null` would be looked for as a file of this name."""
    info = tmp_path / "info.json"
    info.write_text('[{"prompt_en": "a lake", "dimension": [], "image_name": null}]')
    with pytest.raises(InputError, match=r"info.json: a lake: has image_name null, not a name; name the picture, or"):
        find_images(info, read_prompts(info), tmp_path)


def test_the_list_of_videos_is_told_by_its_names_alone() -> None:
    """Parts and reruns must agree on it, and two lists must not fill one folder."""
    both = list_signature(wanted_videos({"a cat": 5, "a dog": 5}))
    assert both == list_signature(wanted_videos({"a dog": 5, "a cat": 5}))
    assert both.startswith("videos10:")
    others = [wanted_videos(prompts) for prompts in ({"a cat": 5, "a bird": 5}, {"a cat": 10}, {"a cat": 5})]
    assert len({both, *map(list_signature, others)}) == 4
