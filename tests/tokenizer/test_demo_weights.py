"""The tokenizer that ships: small, readable, and what its card says."""

from __future__ import annotations

import pytest
import torch

from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.evaluation.evaluate import evaluate
from videoar.tokenizer.files import find_weights, shipped_names

MAX_BYTES = 5_000_000


def test_every_shipped_tokenizer_is_small_and_has_a_card() -> None:
    """A clone of the repository carries these files forever."""
    assert shipped_names() == ("demo",)
    folder = find_weights("demo")
    assert sum(file.stat().st_size for file in folder.iterdir()) < MAX_BYTES
    assert "videoar tokenizer train tokenizer_demo" in (folder / "README.md").read_text()


def test_its_hash_is_the_one_that_shards_name() -> None:
    """A new field of the configuration must not enter the hash, or shards would no longer fit their tokenizer."""
    assert VideoTokenizer.from_pretrained("demo").hash == "3aa7c766acb54ead"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "floor_db"), [("64x64", 17.0), pytest.param("128x128", 18.0, marks=pytest.mark.drill)]
)
def test_demo_tokenizer_reconstructs_drawings_it_never_saw(size: str, floor_db: float) -> None:
    """Weights that no longer fit the code (a changed padding, another quantiser) still load, and decode to mud."""
    bucket = ClipBucket(schedule=size, num_frames=9)
    drawn = torch.stack([torch.from_numpy(draw_clip(99, index, bucket)) for index in range(4)])
    clips = drawn.permute(0, 4, 1, 2, 3).float() / 127.5 - 1
    found = evaluate(VideoTokenizer.from_pretrained("demo"), [clips])
    assert found.psnr_db > floor_db
    assert evaluate(VideoTokenizer.preset("tiny"), [clips]).psnr_db < floor_db - 3
