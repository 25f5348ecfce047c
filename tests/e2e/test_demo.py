"""The demo end to end, at a size of seconds: drawings in place of films, an untrained tokenizer, frames of 32x32."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.demo.demo import FIGURES, PAGE, run_demo
from videoar.cluster.demo.first_videos import SENTENCES
from videoar.cluster.ground.errors import InputError
from videoar.configs.demo import Films, recipe
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.pretrain.config import Recipe
from videoar.tokenizer.config import ClipBucket, TokenizerSource

from ..exported import clip_shape, export_folder

pytestmark = pytest.mark.slow


def small(clips: Path) -> Recipe:
    """The demo's recipe with everything shrunk but the path."""
    chosen = recipe(Films(path=str(clips)))
    datasets = tuple(
        replace(
            dataset,
            source=SourceConfig(kind="shapes", num_clips=3, seed=place),
            bucket=ClipBucket(schedule="32x32", num_frames=min(9, dataset.bucket.num_frames), fps=8.0),
            flip=False,
        )
        for place, dataset in enumerate(chosen.data.datasets)
    )
    tokenizer = TokenizerSource(preset="tiny", latent_dim=16)
    return replace(
        chosen,
        model=replace(chosen.model, num_layers=1, width=32, num_heads=2, latent_dim=16),
        data=replace(chosen.data, datasets=datasets, tokenizer=tokenizer, actors=1),
        stages=tuple(replace(stage, steps=3) for stage in chosen.stages),
        log=replace(chosen.log, validate_every=3, save_every=3),
        threads=1,
    )


def test_the_whole_path_ends_in_a_page(tmp_path: Path) -> None:
    """Sentences, clips, shards, three stages, weights, videos, page; the same call again trains nothing and says the
    same."""
    said: list[str] = []
    start = export_folder(tmp_path / "start", small(tmp_path).model, clip_shape("32x32", 9))
    page = run_demo(small(tmp_path), tmp_path / "out", said.append, start=start)
    assert page == tmp_path / "out" / PAGE
    assert str(page) in said[-1]
    text = page.read_text()
    # The sentences, then three sections of two kinds of three clips; before and after in two of them.
    assert text.count("data:video/mp4;base64,") == len(SENTENCES) + 3 * 6
    assert text.count("model before") == 2 * 2 * 6
    assert "first videos" in said[0]
    assert len(list((tmp_path / "out" / "videos" / "sentences").glob("*.mp4"))) == len(SENTENCES)
    first = json.loads((tmp_path / "out" / FIGURES).read_text())
    assert [stage["end_step"] for stage in first["stages"]] == [3, 6, 9]
    assert {cost["name"] for cost in first["costs"]} >= {"tokenize", "train", "export"}

    run_demo(small(tmp_path), tmp_path / "out", said.append, start=start)
    again = json.loads((tmp_path / "out" / FIGURES).read_text())
    assert (again["metrics"], again["judged"]) == (first["metrics"], first["judged"])

    with pytest.raises(InputError, match="another recipe"):
        run_demo(replace(small(tmp_path), seed=1), tmp_path / "out", said.append)
