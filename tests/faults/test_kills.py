"""Kill -9 in every phase of a run, then the same command again: the curve and the weights do not show it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import STATES, Checkpoint, saved_steps, step_name
from videoar.pretrain.config import FaultConfig, LogConfig, Recipe
from videoar.pretrain.run_folder import read_lines

from ..forked import Forked
from .kill_worker import kill

pytestmark = pytest.mark.slow

PHASES = (
    "data wait",
    "reduction",
    "copy off the device",
    "last file of a save",
    "before the manifest",
    "before the pointer",
    "stage ends",
)
BETWEEN = ("step", "step over", "first file of a save", "after the manifest", "tidying", "stage ended", "validation")
EVERY_PHASE = [*PHASES, *(pytest.param(phase, marks=pytest.mark.drill) for phase in BETWEEN)]
NOTICES = tuple(
    f"{name} in {phase}"
    for name, phase in (
        ("SIGTERM", "data wait"),
        ("SIGUSR1", "reduction"),
        ("SIGTERM", "copy off the device"),
        ("SIGUSR1", "before the manifest"),
        ("SIGTERM", "stage ends"),
        ("SIGTERM", "validation"),
    )
)
REWINDS = ("rewinding", "rewound")
NUMBERS = ("step", "stage", "loss", "bit_accuracy", "grad_norm", "flip_ratio", "tokens", "learning_rate")


def short(url: str, **fields: Any) -> Recipe:
    """Twelve steps of a small model in three stages, saved at every second."""
    base = recipe()
    stages = tuple(replace(stage, steps=steps) for stage, steps in zip(base.stages, (5, 4, 3), strict=True))
    log = LogConfig(wandb="off", save_every=2, keep_last=2, validate_every=3, validation=("images32",))
    model = replace(base.model, num_layers=1, width=32, num_heads=2)
    return replace(base, model=model, stages=stages, data=replace(base.data, url=url), log=log, **fields)


def trained(recipe: Recipe, out: Path, points: tuple[str, ...]) -> dict[str, Path]:
    """The run directory of each point, killed there and then resumed; `none` is not killed."""
    (out / "recipe.yaml").write_text(to_yaml(recipe))
    told, said = Forked(kill, str(out / "recipe.yaml"), str(out), "none", *points).communicate()
    lines = [json.loads(line) for line in told.splitlines()]
    ends = [(line["point"], line["killed"], line["ended"]) for line in lines]
    wanted = [(point, EXIT_PREEMPTED if point.startswith("SIG") else -9, 0) for point in points]
    assert ends == [("none", 0, 0), *wanted], said[-5000:]
    return {point: out / point.replace(" ", "-") for point in ("none", *points)}


@pytest.fixture(scope="module")
def killed(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return trained(short(debug_data), tmp_path_factory.mktemp("killed"), PHASES)


@pytest.fixture(scope="module")
def killed_between(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return trained(short(debug_data), tmp_path_factory.mktemp("killed-between"), BETWEEN)


@pytest.fixture
def runs(phase: str, request: pytest.FixtureRequest) -> dict[str, Path]:
    """The run that was killed in a phase and resumed, and one that was not, `none`."""
    found: dict[str, Path] = request.getfixturevalue("killed" if phase in PHASES else "killed_between")
    return found


@pytest.fixture(scope="module")
def noticed(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return trained(short(debug_data), tmp_path_factory.mktemp("noticed"), NOTICES)


@pytest.fixture(scope="module")
def sent_back(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    faults = FaultConfig(spike_factor=1.5, spike_window=4)
    return trained(short(debug_data, faults=faults), tmp_path_factory.mktemp("sent-back"), REWINDS)


def numbers(run: Path) -> list[dict[str, Any]]:
    return [{key: record[key] for key in NUMBERS} for record in read_lines(run / "metrics.jsonl")]


def weights(run: Path) -> dict[str, torch.Tensor]:
    root = Storage.open(str(run / "checkpoints"))
    newest = Checkpoint(root.child(step_name(saved_steps(root)[-1])))
    return {f"{name}/{state}": newest.read(name, state) for name in newest.parameters for state in STATES}


def assert_equal(found: Path, expected: Path) -> None:
    assert numbers(found) == numbers(expected)
    mine, theirs = weights(found), weights(expected)
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())
    assert read_lines(found / "validation.jsonl") == read_lines(expected / "validation.jsonl")
    steps = [saved_steps(Storage.open(str(run / "checkpoints"))) for run in (found, expected)]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("phase", EVERY_PHASE)
def test_killed_and_gone_on_with(runs: dict[str, Path], phase: str) -> None:
    """Digit for digit: loader, moments, average, stage, and the files of a half-written checkpoint."""
    assert_equal(runs[phase], runs["none"])


@pytest.mark.drill
@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_in_any_phase(noticed: dict[str, Path], notice: str) -> None:
    """A run exits with 75 after a save, in every phase of the loop; the same command resumes, digit for digit."""
    assert_equal(noticed[notice], noticed["none"])


@pytest.mark.parametrize("phase", EVERY_PHASE)
def test_nothing_of_a_broken_save_stays(runs: dict[str, Path], phase: str) -> None:
    """Half checkpoints of weeks would fill the disk."""
    folders = sorted((runs[phase] / "checkpoints").glob("step-*"))
    assert len(folders) == 2
    for folder in folders:
        named = json.loads((folder / "manifest.json").read_text())["files"]
        assert {path.name for path in folder.iterdir()} == {"manifest.json", *named}


def test_a_spike_sends_the_run_back_and_past_its_samples(sent_back: dict[str, Path]) -> None:
    """The step with the bad samples is trained anew with others, and the record holds every step once."""
    run = sent_back["none"]
    (event,) = [line for line in read_lines(run / "events.jsonl") if line["event"] == "rewind"]
    assert (event["step"], event["spiked_before"]) == (2, 4)
    records = read_lines(run / "metrics.jsonl")
    assert [record["step"] for record in records] == list(range(12))
    assert max(record["loss"] for record in records) < 0.8


@pytest.mark.parametrize("phase", REWINDS)
def test_killed_while_it_is_sent_back(sent_back: dict[str, Path], phase: str) -> None:
    """Which samples are skipped must not depend on when the machine died."""
    assert_equal(sent_back[phase], sent_back["none"])
