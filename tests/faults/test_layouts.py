"""A run that is cut anew at every stage: in the same processes, or submitted again with other ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.configs.debug import recipe
from videoar.pretrain.config import FaultConfig, LogConfig, ParallelConfig, Recipe, StageConfig
from videoar.pretrain.run_folder import read_lines

from ..forked import command, workers

pytestmark = pytest.mark.slow

LAYOUTS = (
    ParallelConfig(tensor=2, zero_stage=1),
    ParallelConfig(pipeline=2, zero_stage=1),
    ParallelConfig(),
    ParallelConfig(zero_stage=3),
)


def staged(url: str, layouts: tuple[ParallelConfig | None, ...], **faults: object) -> Recipe:
    """Four stages of five steps over the same clips, each with a layout of its own."""
    base = recipe()

    def stage(index: int, layout: ParallelConfig | None) -> StageConfig:
        return replace(base.stages[1], name=f"stage{index}", steps=5, batch=4, parallel=layout)

    stages = tuple(stage(index, layout) for index, layout in enumerate(layouts))
    return replace(
        base,
        stages=stages,
        data=replace(base.data, url=url),
        log=LogConfig(wandb="off", save_every=3),
        faults=FaultConfig(**faults),  # type: ignore[arg-type]
    )


def submit(recipe: Recipe, run: Path, processes: int) -> int:
    """The exit code of one submission."""
    file = run.with_suffix(".yaml")
    file.write_text(to_yaml(recipe))
    process = command("train", file, "--run", run, "--processes", processes)
    said = process.communicate()[1]
    assert process.returncode in (0, EXIT_PREEMPTED), said[-5000:]
    return process.returncode


def curve(run: Path) -> list[float]:
    return [record["loss"] for record in read_lines(run / "metrics.jsonl")]


@pytest.fixture(scope="module")
def straight(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """One process, never recut."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert submit(staged(debug_data, (None,) * 4), run, 1) == 0
    return curve(run)


@pytest.mark.drill
def test_submitted_again_at_every_stage_with_other_processes(
    straight: list[float], debug_data: str, tmp_path: Path
) -> None:
    """Tensor 2 -> pipeline 2 -> data 4 -> ZeRO 3: a shifted slice of one moment would bend the curve."""
    cut = staged(debug_data, LAYOUTS, relayout="resubmit")
    codes = [submit(cut, tmp_path / "run", processes) for processes in (2, 2, 4, 2)]
    assert codes == [EXIT_PREEMPTED] * 3 + [0]
    assert curve(tmp_path / "run") == pytest.approx(straight, rel=1e-4)


def test_recut_in_the_same_processes(straight: list[float], debug_data: str, tmp_path: Path) -> None:
    """The stage scheduler reshapes through the checkpoint, and nobody has to be there."""
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(staged(debug_data, LAYOUTS, relayout="reshape")))
    workers(2, main, ["train", str(file), "--run", str(tmp_path / "run")])
    assert curve(tmp_path / "run") == pytest.approx(straight, rel=1e-4)
    told = [line["layout"] for line in read_lines(tmp_path / "run" / "events.jsonl") if line["event"] == "relayout"]
    assert [(layout["tensor"], layout["pipeline"], layout["zero_stage"]) for layout in told] == [
        (1, 2, 1),
        (1, 1, 0),
        (1, 1, 3),
    ]
