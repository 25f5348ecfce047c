"""`videoar data inspect`: what a person sees is what the bits of a shard encode."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
import torch

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import from_dict
from videoar.data_pipeline import ShardReader, open_manifest
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.preparing.inspect import decoded
from videoar.data_pipeline.shards.manifest import read_dataset
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.config import ClipBucket, TokenizerSource
from videoar.tokenizer.pixels import from_bytes

pytestmark = pytest.mark.slow


def test_a_shard_is_shown_as_header_samples_sheet_and_clips(
    debug_data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a look into a shard nobody notices that its clips are black."""
    url = f"{debug_data}/clips64"
    capsys.readouterr()
    assert main(["data", "inspect", url, "0", "--out", str(tmp_path), "--clips", "3"]) == 0
    said = capsys.readouterr()
    assert said.err.count("the tokenizer is untrained: pictures are noise; ") == 1
    head, *samples, last = [json.loads(line) for line in said.out.splitlines()]
    manifest = open_manifest(url)
    assert head["tokenizer hash"] == manifest.tokenizer_hash
    assert head["schedule"] == "64x64"
    assert [sample["key"] for sample in samples] == [entry.key for entry in manifest.entries[: len(samples)]]
    assert samples[0]["source"] == "shapes, seed 4, drawing 0"
    with av.open(last["sheet"]) as sheet:
        picture = next(sheet.decode(video=0))
    assert (picture.height, picture.width) == (3 * (64 + 4), 8 * (64 + 4)), "a row a clip, eight frames each"
    assert len(list(tmp_path.glob("*.mp4"))) == 3
    assert main(["data", "inspect", url, "0", "--out", str(tmp_path)]) == 2
    assert "sheet.png: exists; name another file, or add --force" in capsys.readouterr().err
    assert main(["data", "inspect", url, "0", "--out", str(tmp_path / "new"), "--tokenizer", "nowhere"]) == 2
    problem = "is not the folder of a tokenizer; give the one that made the shards: --tokenizer DIR"
    assert f"tokenizer=nowhere: {problem}" in capsys.readouterr().err.splitlines()


def test_clips_are_decoded_from_the_stored_bits(debug_data: str) -> None:
    """Bits read in another order would still give a picture, of something else."""
    manifest = open_manifest(f"{debug_data}/clips64")
    entry = manifest.entries[5]
    schedule, bucket = manifest.format(entry).schedule, ClipBucket(schedule="64x64", num_frames=9, fps=manifest.fps)
    recorded = from_dict(TokenizerSource, read_dataset(Storage.open(manifest.url))["tokenizer"])
    tokenizer = open_tokenizer(recorded)
    config = from_dict(DatasetConfig, read_dataset(Storage.open(manifest.url))["config"])
    pixels = from_bytes(torch.from_numpy(draw_clip(config.source.seed, 5, bucket))[None])
    with torch.inference_mode():
        video = decoded(ShardReader(manifest), entry, tokenizer)
        bits = tokenizer.quantize(tokenizer.encode(pixels), schedule)
        wanted = tokenizer.decode(tokenizer.dequantize(bits, schedule))
    assert (video - wanted).abs().mean() < 0.02 * wanted.abs().mean(), "a batch may flip a bit near zero"


def test_another_tokenizer_and_a_shard_that_is_none_are_refused(
    debug_data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Noise that looks like broken data would send people on a wrong track."""
    command = ["data", "inspect", f"{debug_data}/clips64", "--out", str(tmp_path)]
    assert main([*command, "--tokenizer", "demo"]) == 2
    assert "is not the one of these shards" in capsys.readouterr().err
    assert main([*command, "77"]) == 2
    assert "SHARD=77: is not a shard" in capsys.readouterr().err
