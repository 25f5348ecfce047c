from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.data_pipeline.preparing.stats import stats

from ..datasets import BUCKET
from ..videos import write_video


def test_the_command_prints_what_is_planned_and_stats_account_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads this before paying for a cluster; a script must read the same numbers."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_video(raw / "a.mp4")
    write_video(raw / "short.mp4", num_frames=5)
    (raw / "zero.mp4").write_bytes(b"")
    dataset = DatasetConfig(name="films", source=SourceConfig(path=str(raw)), bucket=BUCKET, flip=True)
    recipe = debug_recipe()
    stage = replace(recipe.stages[0], mixture=(replace(recipe.stages[0].mixture[0], dataset="films"),))
    recipe = replace(recipe, data=replace(recipe.data, datasets=(dataset,)), stages=(stage,))
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", str(out)]) == 0
    printed, progress = capsys.readouterr()
    lines = [line.split() for line in printed.splitlines()]
    assert lines[1][:7] == ["films", "32x32,", "5", "frames", "1", "of", "3"]
    assert any("is shorter than one clip" in line and "filtered" in line for line in printed.splitlines())
    assert json.loads(progress.splitlines()[-1])["total"] == 3
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["num_inputs"], facts["num_planned_inputs"], facts["num_clips"]) == (3, 1, 6)
    assert main(["data", "stats", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_balanced"]
    assert (found["num_planned"], found["num_remaining"], found["num_samples"]) == (6, 6, 0)
    assert sum(sum(reasons.values()) for reasons in found["inputs_out"].values()) == 2
    assert main(["data", "plan", str(tmp_path / "r.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bad_source_is_refused_before_any_plan_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a typo in the last of five sources, the plans of the others would be made for hours first."""
    flags = "--data.datasets.long64.source.kind folder --data.datasets.long64.source.path".split()
    out = tmp_path / "out"
    assert main(["data", "plan", "debug", "--output", str(out), *flags, str(tmp_path / "nowhere")]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"data.datasets.long64.source.path={tmp_path}/nowhere: is not")
    )
    assert not out.exists()


def test_a_source_that_is_too_large_names_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reason without the field sends people to the code."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(write_video(tmp_path / "a.mp4"), "a.mp4")
        tar.add(write_video(tmp_path / "b.mp4", num_frames=80, size=(96, 128)), "b.mp4")
    size = (tmp_path / "a.mp4").stat().st_size
    flags = [f"--data.datasets.clips32.source.{name}" for name in ("kind", "path")]
    words = [flags[0], "webdataset", flags[1], str(tmp_path / "a.tar"), "--data.max-source-bytes", str(size)]
    assert main(["data", "plan", "debug", "--output", str(tmp_path / "out"), *words]) == 0
    assert f"the member has more bytes than data.max_source_bytes={size}" in capsys.readouterr().out


def test_the_sums_of_the_debug_recipe_agree(tmp_path: Path) -> None:
    """Drawn clips are counted like any other input."""
    planned = plan_all(debug_recipe().data, str(tmp_path))
    for item in planned:
        found = stats(item.storage.url)
        assert found.is_balanced
        assert found.num_inputs == found.num_planned == found.num_remaining == 24
