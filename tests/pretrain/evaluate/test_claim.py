"""The folder of generated videos: parts that begin together, and what is not theirs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.claim import claim_folder


def test_parts_that_begin_at_the_same_moment_all_claim_the_folder(tmp_path: Path) -> None:
    """An array starts sixteen jobs in one second; one that loses the race for the record must not fail."""
    count = 16
    for attempt in range(20):
        together, out = Barrier(count), tmp_path / str(attempt)

        def claim(out: Path = out, together: Barrier = together) -> None:
            together.wait()
            claim_folder(out, "videos|v1")

        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(claim) for _ in range(count)]:
                done.result()
        with pytest.raises(InputError, match=r"has videos of videos\|v1, and these are of videos\|v2"):
            claim_folder(out, "videos|v2")
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".json"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """Whoever names the wrong folder would find it full of videos."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(InputError, match=r"has files, and no notes\.json is next to it"):
        claim_folder(tmp_path / "notes", "videos|v1")
