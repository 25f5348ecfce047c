"""What `videoar submit` refuses before it asks a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.cli.arguments import own_flags, parse
from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.cli.commands.evaluate.ahead import check_files
from videoar.cluster.cli.commands.evaluate.fvd import EvaluateFvd
from videoar.cluster.cli.commands.submittable import SUBMITTABLE
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.submit.programs import Answer


def test_options_of_submit_and_of_the_commands_are_different_words() -> None:
    """An option of both would never reach the command, in silence."""
    own = {*own_flags(COMMANDS["submit"].options)}
    assert not [
        (name, both) for name in SUBMITTABLE if name in COMMANDS if (both := own & {*own_flags(COMMANDS[name].options)})
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model.widht", "3"), "--model.widht=3: is not a field; did you mean --model.width?"),
        (("--model.width", "x"), "model.width=x: is not a whole number; correct the value"),
        (("--command", "trian"), "command=trian: cannot be submitted; use one of: train, data plan, data run"),
        (("--command", "tokenizer train"), "RECIPE=debug: trains a generator"),
        (("--command", "data run"), "output='': is not given, and data.url of the recipe is empty; add --output URL"),
        (("--command", "data run", "--output", "s3://k:secret@b"), "arguments=s3://***: contains a credential"),
        (("--gpus", "4", "--processes", "2"), "processes=2: is not one for each of 4 GPUs; leave it out"),
        (("--env", "HF_TOKEN=canary"), "env=HF_TOKEN=***: would be written into the script"),
        (("--time", "5"), "time='5': is not a time"),
        (("--name", "a;b"), "name='a;b': has characters that are not accepted"),
        (("--gpus", "8", "--gpu", "h999"), "gpu=h999: is not a device whose peak is known"),
        (("--nodes", "3", "--gpus", "1"), "stages.images.batch=2: is not a multiple of the 3 data-parallel processes"),
        ((), "PATH=sbatch: is not installed here; run this where `sbatch` is: a login node"),
    ],
)
def test_one_line_and_nothing_sent(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What would fail in the job, hours later on paid machines, fails here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["submit", "debug", "--to", "slurm", *words]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)
    assert not list(tmp_path.iterdir())


FVD = ("small-world", "x", "--command", "evaluate fvd", "--detector", "rf-fvd")
SAMPLES = ("small-world", "out", "--command", "evaluate class-samples")
KEEPS = ("demo", "x", "--command", "tokenizer evaluate")
WORLD = ("small-world", "--command", "evaluate world", "--batch", "32", "--keep", "kept")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("small-world", "--command", "evaluate"),
            "command=evaluate: cannot be submitted; use one of: train, data plan",
        ),
        (("small-world", "--command", "evaluate class-samples"), "OUT: is missing; see videoar evaluate class-samples"),
        ((*SAMPLES, "--temprature", "1"), "--temprature=1: is not an option; did you mean --temperature?"),
        ((*SAMPLES, "--per-class", "0"), "per_class=0: is below 1"),
        ((*SAMPLES, "--part", "3/2"), "part='3/2': is not a part"),
        ((*SAMPLES, "--part", "1/2", "--array", "2"), "array=2: gives each of its jobs its own --part"),
        (
            (*SAMPLES, "--gpus", "8"),
            "gpus=8: is more than `evaluate class-samples` uses, which is one process; use 1, and",
        ),
        (
            (*SAMPLES, "--nodes", "2"),
            "nodes=2: has no effect for `evaluate class-samples`, which runs on one machine; use 1",
        ),
        ((*SAMPLES,), "weights=words: were trained on captions"),
        (
            ("weigths/l", "out", *SAMPLES[2:]),
            "weights=weigths/l: does not exist; give a path that the machines of the job",
        ),
        ((*FVD, "--array", "8"), "array=8: needs a folder that keeps the features; add --features FOLDER"),
        ((*FVD, "--part", "1/2"), "part=1/2: has no effect without --features"),
        ((*FVD, "--size", "33x33"), "size=33x33: is not in the table of scale schedules"),
        ((*FVD, "--protocol", "omni17"), "split: is not fixed by protocol omni17"),
        ((*FVD,), "generated=x: does not exist"),
        (
            ("small-world", "x", "--command", "evaluate drift", "--array", "2"),
            "array=2: needs a folder that keeps the figures of each clip; add --keep FOLDER",
        ),
        (
            (*WORLD, "--array", "2", "--out", "x"),
            "out=x: needs the figures of all clips, which a part does not have; leave it out here",
        ),
        ((*WORLD, "--array", "21"), "array=21: is more than the 16 groups of clips; use fewer jobs"),
        (
            ("small-world", "x", "--command", "evaluate recovery", "--flip-ratios", ".1", ".1"),
            "flip_ratios=0.1 0.1: are",
        ),
        (("small-world", "--command", "evaluate world", "--force"), "force=True: has no effect without --out"),
        (("small-world", "--command", "evaluate world", "--size", "1x1"), "size=1x1: is not a frame size that"),
        (("small-world", "--command", "evaluate world", "--gpus", "1"), "PATH=sbatch: is not installed here"),
        ((*KEEPS, "--array", "2"), "array=2: needs a folder that keeps the figures of each clip; add --keep FOLDER"),
        ((*KEEPS,), "clips=x: does not exist"),
        (("demmo", *KEEPS[1:]), "weights=demmo: does not exist"),
    ],
)
def test_an_evaluation_is_refused_as_its_command_refuses_it(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Eight jobs wait for their GPUs, and each of them ends in its first second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["submit", *words, "--to", "slurm"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)
    assert not list(tmp_path.iterdir())


def test_the_videos_of_an_array_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """More jobs than videos: some would have nothing to do, and fail."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    said = Answer(0, "", "sbatch: Job 7 to start at 2030-01-01T00:00:00 on nodes n1")
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm.ask", lambda *_, **__: said)
    words = ["submit", "small-world", "prompts.txt", "out", "--to", "slurm", "--command", "evaluate vbench-export"]
    assert main([*words, "--array", "4"]) == 0
    assert (
        capsys.readouterr().err.splitlines()[0]
        == "ok    files           all files that are read exist; 10 videos in 4 parts"
    )
    assert main([*words, "--array", "11"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "array=11: is more than the 10 videos; use fewer jobs"


def test_files_of_a_kubernetes_cluster_are_not_looked_for_here() -> None:
    """Its volumes are no folders of this machine; on the others the folder is the same on all machines."""
    options = parse(EvaluateFvd, ["absent", "x", "--detector", "rf-fvd"], "videoar evaluate fvd")
    found = check_files(options, None, is_here=False)
    assert (found.state, found.found) == ("skip", "absent is not on this machine, and was not checked")
    with pytest.raises(InputError, match="real=absent: does not exist"):
        check_files(options, None, is_here=True)


def test_gpus_that_cannot_share_a_tokenizer_s_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a process for each GPU, and each has the same number of clips."""
    monkeypatch.chdir(tmp_path)
    words = ("submit", "tokenizer_demo", "--to", "slurm", "--dry-run", "--command", "tokenizer train", "--gpus", "4")
    assert main([*words]) == 2
    assert capsys.readouterr().err.startswith("train.batch_size=2: is not a multiple of the 4 processes; use 4, or ")
    assert main([*words, "--train.batch-size", "8"]) == 0
    assert "tokenizer train tokenizer_demo --train.batch-size 8 --processes 4" in capsys.readouterr().out
    assert main([*words, "--train.batch-size", "12", "--nodes", "2"]) == 2
    assert capsys.readouterr().err.startswith("train.batch_size=12: is not a multiple of the 8 processes; use 8 or 16")


@pytest.mark.slow
def test_the_time_of_a_tokenizer_is_compared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """433 H200-hours on 16 GPUs are 27 hours, which one day is not; without the kind of GPU nobody knows."""
    monkeypatch.chdir(tmp_path)
    said = Answer(0, "", "sbatch: Job 7 to start at 2030-01-01T00:00:00 on nodes n1")
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm.ask", lambda *_, **__: said)
    words = ["submit", "tokenizer_ucf101", "--to", "slurm", "--command", "tokenizer train"]
    words += ["--nodes", "2", "--gpus", "8"]
    assert main([*words, "--gpu", "h200", "--time", "1d", "--requeues", "0"]) == 2
    assert capsys.readouterr().err.startswith("time=1d x 1: is less than the 27.1 h that it takes at 40% of the peak; ")
    assert main([*words, "--gpu", "h200", "--time", "1d"]) == 0
    found = "ok    time            27.1 h on 16 x H200 at 40% of the peak, in at least 2 runs of 1d"
    assert capsys.readouterr().err.splitlines()[0] == found
    assert main(words) == 0
    assert capsys.readouterr().err.splitlines()[0].startswith("skip  time            was not checked; name the kind")


@pytest.mark.parametrize("name", ["%j", "a\\ b"])
def test_a_folder_whose_name_slurm_would_change(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slurm writes the log elsewhere, or ends the job before its first line."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    assert main(["submit", "debug", "--to", "slurm", "--dry-run"]) == 2
    assert "has a % or \\, which Slurm changes in paths; run in another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_and_time_are_compared_with_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that cannot fit its GPUs or its time is refused by arithmetic."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    base = ["submit", "t2v_4b@8", "--to", "slurm", "--gpus", "8"]
    assert main([*base, "--gpu", "h200", "--time", "1d", "--requeues", "1"]) == 2
    assert "time=1d x 2: is less than the " in capsys.readouterr().err
    assert main([*base, "--gpu", "h100", "--parallel.recompute", "none"]) == 2
    assert "gpu=H100: has 80.0 GB, of which 72.0 (90 %) may be used; a process needs " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "logs", "cancel"])
def test_a_job_that_is_not_recorded(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From another folder, the record is not found: say which folder is meant."""
    monkeypatch.chdir(tmp_path)
    assert main([command, "7"]) == 2
    assert capsys.readouterr().err.startswith("JOB=7: is not a job in jobs/; give --jobs the folder")


def test_the_newest_jobs_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a hundred jobs the last is meant; as words, 9 came before 10."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    for number in range(6, 13):
        (tmp_path / "jobs" / f"{number}.yaml").touch()
        os.utime(tmp_path / "jobs" / f"{number}.yaml", (number // 8, number // 8))
    assert main(["status", "99"]) == 2
    assert capsys.readouterr().err.endswith("use one of: 12, 11, 10, 9, 8 and 2 more\n")


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("sbatch: fatal: Could not establish a configuration source", 1, "Slurm is installed, but no cluster is conf"),
        (
            "sbatch: error: Unable to contact slurm controller (connect failure)",
            1,
            "Slurm is installed, but no cluster",
        ),
        (
            "sbatch: error: Requested node configuration is not available",
            2,
            "nodes=2, gpus=0: is refused by sbatch (Requested node configuration is not available); see `sinfo`",
        ),
    ],
)
def test_what_sbatch_refuses(
    said: str,
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A person who is not on a login node must be told so, and whose job is too large, which option it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm.ask", lambda *_, **__: Answer(1, "", said))
    assert main(["submit", "debug", "--to", "slurm", "--nodes", "2", "--env", "NOT_SET_HERE"]) == code
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


def test_a_variable_that_is_not_set_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job would wait for a day, and end at once."""
    monkeypatch.chdir(tmp_path)
    said = Answer(0, "", "sbatch: Job 7 to start at 2030-01-01T00:00:00 on nodes n1")
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm.ask", lambda *_, **__: said)
    assert main(["submit", "debug", "--to", "slurm", "--env", "NOT_SET_HERE", "PATH"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "ok    layout          1 on CPUs",
        "ok    sbatch          would start at 2030-01-01T00:00:00 on nodes n1",
        "warn  variables       not set in this shell: NOT_SET_HERE; the job would end at once; export it first",
    ]


def test_interrupted_while_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends the waiting and not the job: whoever thinks otherwise pays for both."""

    def interrupted(*_: object, **__: object) -> Iterator[str]:
        raise KeyboardInterrupt
        yield ""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm.ask", lambda *_, **__: Answer(0, "7", ""))
    monkeypatch.setattr("videoar.cluster.submit.slurm.slurm._read", interrupted)
    assert main(["submit", "debug", "--to", "slurm", "--wait"]) == 1
    said = "the job continues: `videoar logs 7 --follow` shows it, `videoar cancel 7` ends it"
    assert said in capsys.readouterr().err.splitlines()
