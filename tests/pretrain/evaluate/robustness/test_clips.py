"""Held-out clips from shards and from a folder: which they are, and that their bits are those of the data."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data_pipeline.jobs import config, make_shards, shapes
from tests.decoded import decoded
from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.config import TextConfig
from videoar.pretrain.evaluate.continuation import rebuild
from videoar.pretrain.evaluate.kept import KeptRows, Row
from videoar.pretrain.evaluate.robustness.clips import (
    HeldClips,
    clips_of_folder,
    clips_of_shards,
    clips_signature,
    decode_bits,
    is_dataset,
    keys_signature,
)
from videoar.pretrain.evaluate.tokenized import tokenize
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.video import save_mp4
from videoar.tokenizer.config import ClipBucket

SHAPE = clip_shape("32x32", 5)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> VideoPipeline:
    return VideoPipeline.from_pretrained(export_folder(tmp_path_factory.mktemp("export"), MODEL, SHAPE))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten drawings of three latent frames."""
    out = tmp_path_factory.mktemp("shards")
    make_shards(config(shapes(num_frames=9)), out)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos with captions and labels, and one that is none."""
    out = tmp_path_factory.mktemp("clips")
    rows = ["path,caption,label"]
    for i in range(5):
        drawn = draw_clip(0, i, ClipBucket(schedule="32x32", num_frames=9))
        save_mp4(drawn, out / f"{i}.mp4", 8.0)
        rows.append(f"{i}.mp4,number {i},{i}")
    (out / "broken.mp4").write_bytes(b"no video")
    (out / "captions.csv").write_text("\n".join([*rows, "broken.mp4,broken,0"]))
    return out


def read(pipeline: VideoPipeline, folder: Path, max_clips: int, captions: str = "captions.csv") -> HeldClips:
    source = SourceConfig(path=str(folder), captions=str(folder / captions) if captions else "")
    tell = {"on_left_out": lambda *left: None, "on_progress": lambda accounts: None}
    with clips_of_folder(pipeline, source, SHAPE, 5, max_clips, **tell) as held:
        return held.read(range(len(held.states)))


def test_shards_are_read_at_even_distances_and_cut(pipeline: VideoPipeline, shards: Path) -> None:
    """The bits are those of the drawing's first frames: the tokenizer is causal."""
    url = str(shards / "shapes")
    assert is_dataset(url)
    assert is_dataset(str(shards)), "the folder of several, which is refused with their names"
    chosen = clips_of_shards(pipeline, url, SHAPE, 5, 2)
    held = chosen.read([0, 1])
    assert [sample.entry.key for sample in held.samples] == ["shape_00000000", "shape_00000005"]
    assert held.frames is None
    first = draw_clip(0, 0, ClipBucket(schedule="32x32", num_frames=5))
    (made,) = tokenize(pipeline.tokenizer, [first], 1)
    np.testing.assert_array_equal(held.samples[0].bits, made.bits)
    np.testing.assert_array_equal(decode_bits(pipeline, held.samples)[0], rebuild(pipeline, first))
    assert chosen.signature != clips_of_shards(pipeline, url, SHAPE, 5, 3).signature
    np.testing.assert_array_equal(chosen.read([1]).samples[0].bits, held.samples[1].bits)


def test_shards_that_do_not_fit_are_refused(
    pipeline: VideoPipeline, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too short, or of another tokenizer, whose bits mean something else."""
    with pytest.raises(InputError, match=r"clips=.*no clip of 32x32 with 4 latent frames \(the longest has 3\)"):
        clips_of_shards(pipeline, str(shards / "shapes"), SHAPE, 13, 2)
    monkeypatch.setattr(type(pipeline.tokenizer), "hash", "of another")
    with pytest.raises(InputError, match=r"clips=.*has bits of tokenizer .*, but the weights read those of of another"):
        clips_of_shards(pipeline, str(shards / "shapes"), SHAPE, 5, 2)


@pytest.mark.slow
def test_videos_of_a_folder_have_pixels_bits_and_captions(pipeline: VideoPipeline, folder: Path) -> None:
    """As the preparation of data would have them; a file that is no video is left out."""
    held = read(pipeline, folder, 3)
    assert [sample.entry.caption for sample in held.samples] == ["number 0", "number 1", "number 3"]
    assert held.frames is not None
    for sample, frames in zip(held.samples, held.frames, strict=True):
        name = sample.entry.caption.removeprefix("number ")
        film = np.stack(decoded(folder / f"{name}.mp4"))
        assert any(np.abs(frames.astype(int) - film[i : i + 5]).mean() < 2 for i in range(5))
        (made,) = tokenize(pipeline.tokenizer, [frames], 1)
        np.testing.assert_array_equal(sample.bits, made.bits)
        np.testing.assert_array_equal(sample.text, pipeline.condition(sample.entry.caption))


def test_clips_are_read_a_few_at_a_time(pipeline: VideoPipeline, shards: Path) -> None:
    """All pixels and bits at once would be gigabytes of a test set of some size."""
    chosen, sizes = clips_of_shards(pipeline, str(shards / "shapes"), SHAPE, 5, 7), list[int]()

    def measure(some: HeldClips) -> list[Row]:
        sizes.append(len(some.samples))
        return [{"ones": int(sample.bits.sum())} for sample in some.samples]

    found = chosen.measured(KeptRows(), "clips", 3, measure)
    assert sizes == [3, 3, 1]
    whole = chosen.read(range(7)).samples
    assert found.rows == [{"key": one.entry.key, "ones": int(one.bits.sum())} for one in whole]
    assert keys_signature(found.rows) == clips_signature([one.entry.key for one in whole])


@pytest.mark.slow
def test_a_video_that_cannot_be_read_is_kept_as_left_out(pipeline: VideoPipeline, folder: Path, tmp_path: Path) -> None:
    """A resumed evaluation reports it as the one that was stopped would have."""
    shutil.copytree(folder, tmp_path / "clips")
    source = SourceConfig(path=str(tmp_path / "clips"), captions=str(tmp_path / "clips/captions.csv"))
    tell = {"on_left_out": lambda *left: None, "on_progress": lambda accounts: None}
    with clips_of_folder(pipeline, source, SHAPE, 5, 5, **tell) as held:
        (tmp_path / "clips/3.mp4").write_bytes(b"cut off")
        found = [
            held.measured(KeptRows(tmp_path / "kept"), "clips", 2, lambda some: [{} for _ in some.samples])
            for _ in range(2)
        ]
    assert found[0] == found[1]
    assert len(found[0].rows) == 4
    assert found[0].left_out == [["3.mp4", "the file has changed since the plan was made"]]


@pytest.mark.slow
def test_weights_of_labels_take_the_labels_of_the_table(folder: Path, tmp_path: Path) -> None:
    """A folder without a table has no labels, which is found before clips are decoded."""
    model = replace(MODEL, text=TextConfig(kind="label", num_classes=5))
    of_labels = VideoPipeline.from_pretrained(export_folder(tmp_path, model, SHAPE))
    held = read(of_labels, folder, 5)
    assert [sample.text.tolist() for sample in held.samples] == [[i] for i in range(5)]
    with pytest.raises(InputError, match=r"needs a label, and sample .* has none"):
        read(of_labels, folder, 5, captions="")
