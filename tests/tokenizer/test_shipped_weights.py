"""The tokenizers that ship: small, readable, and what their cards say."""

from __future__ import annotations

import pytest
import torch

from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.reader import read
from videoar.data_pipeline.world.scene import scene
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.evaluation.evaluate import evaluate, through_bits
from videoar.tokenizer.files import find_weights, shipped_names
from videoar.tokenizer.pixels import from_bytes, to_bytes

MAX_BYTES = {"demo": 5_000_000, "world": 8_000_000}
HASHES = {"demo": "3aa7c766acb54ead", "world": "79fa0b581e20047b"}


def test_every_shipped_tokenizer_is_small_and_has_a_card() -> None:
    """A clone of the repository carries these files forever."""
    assert shipped_names() == tuple(MAX_BYTES)
    for name, most in MAX_BYTES.items():
        folder = find_weights(name)
        assert sum(file.stat().st_size for file in folder.iterdir()) < most
        card = (folder / "README.md").read_text()
        assert f"videoar tokenizer train tokenizer_{name}" in card
        assert HASHES[name] in card


@pytest.mark.parametrize("name", HASHES)
def test_a_hash_is_the_one_that_shards_name(name: str) -> None:
    """A new field of the configuration must not enter the hash, or shards would no longer fit their tokenizer."""
    assert VideoTokenizer.from_pretrained(name).hash == HASHES[name]


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


@pytest.mark.slow
def test_the_world_tokenizer_keeps_what_the_reader_needs() -> None:
    """Colour, direction and, at 128x128, the shape of nearly every object of scenes that it never saw."""
    tokenizer, right, total = VideoTokenizer.from_pretrained("world"), 0, 0
    for index in range(6):
        what = scene(99, index)
        clip = from_bytes(torch.from_numpy(draw(what, 9, (128, 128), 8.0))[None])
        with torch.inference_mode():
            decoded = to_bytes(through_bits(tokenizer, clip).decoded)[0].numpy()
        seen = {thing.colour: thing for thing in read(decoded)}
        for thing in what.things:
            assert seen[thing.colour].direction == thing.direction
            right, total = right + (seen[thing.colour].shape == thing.shape), total + 1
    assert right >= total - 1
