"""The folder of generated videos: parts that begin together, and what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.claim import claim
from videoar.pretrain.evaluate.made_videos.folder import Wanted, claim_folder, list_signature
from videoar.pretrain.evaluate.made_videos.of_classes import class_videos
from videoar.pretrain.evaluate.made_videos.of_vbench import wanted_videos

VIDEOS = class_videos(2, 1)


def signed(how: str) -> Callable[[Sequence[Wanted]], str]:
    """Signs videos that were made in this way."""
    return lambda videos: f"{list_signature(videos)}|{how}"


def test_parts_that_begin_at_the_same_moment_all_claim_the_folder(tmp_path: Path) -> None:
    """An array starts sixteen jobs in one second; one that loses the race for the record must not fail."""
    count = 16
    for attempt in range(20):
        together, out = Barrier(count), tmp_path / str(attempt)

        def claim(out: Path = out, together: Barrier = together) -> None:
            together.wait()
            claim_folder(out, VIDEOS, signed("v1"))

        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(claim) for _ in range(count)]:
                done.result()
        with pytest.raises(
            InputError, match=r"holds videos of videos2:.*\|v1, but this command makes those of videos2:.*\|v2"
        ):
            claim_folder(out, VIDEOS, signed("v2"))
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".json"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """Whoever names the wrong folder would find it full of videos."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(InputError, match=r"has files, and no notes\.json is next to it"):
        claim_folder(tmp_path / "notes", VIDEOS, signed("v1"))


def test_a_folder_grows_and_does_not_shrink(tmp_path: Path) -> None:
    """More samples are the same ones and others; fewer would be judged with those that were made before."""
    out, more = tmp_path / "out", class_videos(2, 3)
    for videos in (VIDEOS, VIDEOS, more, more):
        claim_folder(out, videos, signed("v1"))
    assert json.loads((tmp_path / "out.json").read_text()) == {"signature": signed("v1")(more)}
    others = (VIDEOS, class_videos(3, 3), wanted_videos({"a cat": 9}))
    for videos, how in ((more, "v2"), (class_videos(2, 4), "v2"), *((other, "v1") for other in others)):
        with pytest.raises(InputError, match=r"holds videos of videos6:.*\|v1, but this command makes those of videos"):
            claim_folder(out, videos, signed(how))


def test_prompts_are_added_at_the_end(tmp_path: Path) -> None:
    """The videos of the first prompts stay as they are; a prompt that is gone leaves its videos in the folder."""
    for prompts in ({"a cat": 2}, {"a cat": 2, "a dog": 2}):
        claim_folder(tmp_path / "out", wanted_videos(prompts), signed("v1"))
    for prompts in ({"a dog": 2, "a bird": 2, "a cow": 2}, {"a cat": 2}):
        with pytest.raises(InputError, match="name another folder"):
            claim_folder(tmp_path / "out", wanted_videos(prompts), signed("v1"))


@pytest.mark.parametrize("place", ["/", ".."])
def test_a_folder_without_a_name_is_refused(place: str) -> None:
    """Its record would be `/.json`, which is no name, or `...json`, in whichever folder it is asked from."""
    with pytest.raises(InputError, match=f"keep={place}: has no name that its record next to it could have"):
        claim(Path(place), "signature", field="keep", holds="figures")


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    """One line, also where reading it goes deeper than Python does."""
    (tmp_path / "kept.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not the record of a folder of figures"):
        claim(tmp_path / "kept", "signature", field="keep", holds="figures")
