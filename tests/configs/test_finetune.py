"""The recipe that goes on from the weights that ship, on a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs import finetune
from videoar.configs.load import find_recipe
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import save_mp4
from videoar.pretrain.model.pretrained import find_export, read_config
from videoar.pretrain.run_folder import read_lines
from videoar.tokenizer.config import ClipBucket


def test_it_fits_the_weights_that_ship() -> None:
    """Another model would be refused by --init, after minutes of preparing."""
    config, recipe = read_config(find_export("small-world")), finetune.recipe()
    assert recipe == find_recipe("finetune")
    assert recipe.model == config.model
    assert recipe.tokenizer.path == config.shipped_tokenizer
    assert {dataset.bucket.schedule for dataset in recipe.data.datasets} <= {shape.schedule for shape in config.shapes}


@pytest.mark.slow
@pytest.mark.drill
def test_a_folder_is_all_that_it_needs(tmp_path: Path) -> None:
    """The command of its docstring, with few steps; it begins with what the weights know."""
    for number in range(3):
        frames = draw_clip(0, number, ClipBucket(schedule="128x128", num_frames=33))
        save_mp4(frames, tmp_path / "clips" / f"{number}.mp4", 8.0)
        (tmp_path / "clips" / f"{number}.txt").write_text("a red square moving left")
    words = ["--init", "small-world", "--data.datasets.all.source.path", str(tmp_path / "clips")]
    few = ["--stages.fine.steps", "2", "--data.online", "True"]
    assert main(["train", "finetune", "--run", str(tmp_path / "run"), *words, *few]) == 0
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[0]["loss"] < 0.6
