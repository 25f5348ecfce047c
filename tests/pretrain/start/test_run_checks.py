"""A refused command changes nothing, and no run is begun anew where one has been."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.pretrain.run_folder import open_run, record_event
from videoar.pretrain.start.run_checks import check_run
from videoar.tokenizer import open_tokenizer

pytestmark = pytest.mark.slow


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(run: Path, *words: str) -> str:
    """The one line that `videoar train debug --run RUN WORDS` prints when it is refused, with nothing changed."""
    before = content(run)
    with pytest.MonkeyPatch.context() as patch:
        said = list[str]()
        patch.setattr("videoar.cluster.entry.complain", lambda error: said.append(str(error)))
        assert main(["train", "debug", "--run", str(run), *words]) == 2
    assert content(run) == before
    (line,) = said
    return line


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run that has saved at step 5 leaves, without its weights."""
    run = tmp_path / "run"
    run.mkdir()
    open_run(run, recipe(), World())
    (run / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n')
    (run / "preempted").touch()
    record_event(run, "saved")
    folder = run / "checkpoints" / "step-00000005"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return run


def remove(*names: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        for name in names:
            (run / name).rename(run.parent / Path(name).name)

    return change


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("gone", [(), ("metrics.jsonl",), ("metrics.jsonl", "environment.json"), ("checkpoints",)])
def test_another_recipe_is_refused(run: Path, gone: tuple[str, ...], processes: str) -> None:
    """Without its lines the run was refused, but its recipe replaced: an export then paired it with other weights."""
    remove(*gone)(run)
    assert refused(run, "--model.width", "128", "--processes", processes).startswith("model.width=128: differs from")


def test_every_field_that_differs_is_named(run: Path) -> None:
    """A run of weeks is resumed by a script with several options."""
    line = refused(run, "--model.width", "128", "--stages.video.learning-rate", "0.5", "--seed", "3")
    said = "the recipe of this run, and so do stages.video.learning_rate and seed; give another --run"
    assert line.startswith("model.width=128: differs from")
    assert said in line


def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(run: Path) -> None:
    """Purged or not mounted, they would be replaced by those of step 0, and the lines dropped."""
    remove("checkpoints")(run)
    line = refused(run)
    assert line.startswith(f"run={run}: has saved checkpoints, and {run}/checkpoints holds none; restore them")
    assert line.endswith("to start from scratch, give another --run, or remove metrics.jsonl and events.jsonl")
    (run / "checkpoints").mkdir()  # a place that is not mounted
    assert refused(run) == line
    (run / "events.jsonl").unlink()
    check_run(run, recipe())  # it was stopped before its first checkpoint, as far as it records
    (run / "metrics.jsonl").write_text(json.dumps({"step": 9, "checkpoint_s": 0.1}) + "\n")
    assert refused(run).endswith("or remove metrics.jsonl")
    (run / "metrics.jsonl").unlink()
    check_run(run, recipe())


def test_checkpoints_are_not_left_behind(run: Path, tmp_path: Path) -> None:
    """One flag forgotten, and weeks of metrics would be dropped for a run from step 0."""
    line = refused(run, "--log.checkpoints", str(tmp_path / "elsewhere"))
    assert line.startswith(f"log.checkpoints={tmp_path}/elsewhere: holds none, and those of this run are in {run}")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"thesis.tex": ""}, "holds thesis.tex and is not a run; give a new or an empty folder"),
        ({"config.yaml": "model: resnet\n"}, "holds a config.yaml that is not the recipe of a run (config.yaml: "),
        ({"config.yaml": None}, "holds a config.yaml that no run has written, with another recipe"),
        ({"metrics.jsonl": '{"loss": 1}\n'}, "holds metrics.jsonl, but no config.yaml"),
    ],
    ids=["files", "another kind", "by hand", "lines"],
)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, files: dict[str, str | None], message: str) -> None:
    """A run in a home directory would write over files of the same names."""
    for name, text in files.items():
        (tmp_path / name).write_text(to_yaml(replace(recipe(), seed=7)) if text is None else text)
    assert refused(tmp_path).startswith(f"run={tmp_path}: {message}")


def test_a_folder_with_the_scheduler_s_log_is_free(tmp_path: Path) -> None:
    """`sbatch --output RUN/slurm.out` writes before the run begins; so does a run that prepares its data first."""
    (tmp_path / "slurm-7.out").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "logs").mkdir()  # what libraries of a run that was killed early had to say
    check_run(tmp_path, recipe())
    (tmp_path / "logs.out").mkdir()
    with pytest.raises(InputError, match=r"holds logs\.out"):
        check_run(tmp_path, recipe())


def test_shards_of_another_tokenizer_are_refused_before_the_first_write(
    debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run would train to its end, and the export would be the first to say that nothing can decode its bits."""
    monkeypatch.setattr("videoar.pretrain.train.resume", pytest.fail)
    given = ("--data.url", debug_data, "--data.tokenizer.path")
    missing = refused(tmp_path / "run", *given, "/nowhere")
    assert missing.startswith("data.tokenizer.path=/nowhere: is not the folder of a tokenizer")
    open_tokenizer(replace(recipe().data.tokenizer, seed=1)).save(tmp_path / "other")
    other = refused(tmp_path / "run", *given, str(tmp_path / "other"))
    assert other.startswith(f"data.tokenizer.path={tmp_path}/other: is tokenizer ")
    assert f", and the data of {debug_data} was made by " in other
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_read_is_refused_before_the_first_write(tmp_path: Path) -> None:
    """A typing error in --data.url would leave a run directory whose recipe names it."""
    assert refused(tmp_path / "run", "--data.url", str(tmp_path / "nowhere")).startswith("data.url=")
    assert not (tmp_path / "run").exists()
