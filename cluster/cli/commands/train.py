"""`videoar train`: train every stage of a recipe, in one or several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, flag_words, for_pretraining, parse_with_recipe, typed_as
from videoar.cluster.cli.output import say, warn, warn_next
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.fields.limits import Limits

if TYPE_CHECKING:
    from videoar.cluster.ground.process import World
    from videoar.pretrain.config import Recipe


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a generator through every stage of a recipe; rerunning the command resumes.

    RUN gets config.yaml, environment.json, metrics.jsonl and checkpoints/, and logs/ with what libraries log. If the
    recipe names no shards, they are prepared in RUN/data first. Any field can be overridden:
    `videoar train RECIPE --help` lists all fields, `videoar train RECIPE --help stages` those of one part.

    `videoar train debug --processes 2 --parallel.tensor 2 --stages.video.steps 4`

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe if not given."""
    processes: Annotated[int, Limits(1, 4096)] = 1
    """Number of processes to start on this machine. If srun runs this once on each of several machines, they form one
    job. Leave it out under torchrun, and where srun starts every process."""
    change: bool = False
    """Continue the run under a recipe that differs: more steps, another stage, another learning rate. The changes are
    listed and recorded in RUN/events.jsonl; what cannot change within a run is refused."""
    doctor: bool = False
    """Examine the machine of every process first, as `videoar doctor` does: a failure ends the job in one line, with
    exit code 1."""
    from_: Annotated[str | None, arg(name="from", metavar="RUN@STEP")] = None
    """Begin a new run from a checkpoint of another run; the recipe may differ in the fields that --change allows."""
    init: Annotated[Path | None, arg(metavar="WEIGHTS")] = None
    """Fine-tune: begin a new run with the weights of a folder that `videoar export` wrote. The model and the tokenizer
    must be those of the export; data, stages, learning rates and the kind of text may differ. It lists which weights
    are loaded and which are new."""
    other_tokenizer: bool = False
    """With --init: the data was made by another tokenizer than the export's, perhaps with another number of bits. The
    layers that read and predict bits start from random weights; everything else is loaded."""


def train(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.ground.process import World, is_launched, mark_preempted
    from videoar.cluster.ground.processes.launch import launch, starts_processes
    from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, Preempted
    from videoar.pretrain.parallel.check import check_parallel
    from videoar.pretrain.start.held_out import not_held_out

    options, recipe, flags = parse_with_recipe(Train, words, prog)
    recipe, world, machines = for_pretraining(recipe), World.here(), World.of_machines()
    if world.is_first and not is_launched():
        for line in not_held_out(recipe):
            warn(line)
    starts, run = starts_processes(options.processes), _folder(options, recipe)
    if starts:
        from videoar.pretrain.train import check_start

        check_parallel(recipe, options.processes * machines.world_size)
        with typed_as(weights="init"):
            check_start(recipe, run, **_beginning(options))
        _examined(options, recipe, world)
        words = ["train", options.recipe, "--run", str(run), *_going_further(options), *flag_words(flags)]
        code = launch(words, options.processes, run, recipe.faults.stop_within_s, machines)
        if code == EXIT_PREEMPTED:
            raise Preempted(_saved(recipe, run))
        return code
    from videoar.cluster.ground.library_log import libraries_logged, process_log
    from videoar.pretrain.train import train as train_recipe

    met = _examined(options, recipe, world)
    try:
        with typed_as(weights="init"), libraries_logged(process_log(run, world.rank)):
            train_recipe(recipe, run, world, **_beginning(options))
    except Preempted:
        mark_preempted(run)
        raise
    del met
    if world.is_first:
        say(str(run))
        warn_next("export", str(run), str(Path("weights") / run.resolve().name))
    return 0


def _examined(options: Train, recipe: Recipe, world: World) -> object:
    """With --doctor, examine what this job needs of its machines. Keep the result until the processes have met to
    train."""
    if not options.doctor:
        return None
    from videoar.cluster.doctor.check import Asked, Group
    from videoar.cluster.doctor.job import examine_job

    several = max(options.processes, world.world_size) > 1 or recipe.parallel.zero_stage > 0
    groups: set[Group] = {"machine", "attention"}
    if several:
        groups.add("engines")
    if not recipe.data.url:  # it is prepared by this job
        groups.add("data")
    place = recipe.log.checkpoints
    url = place if "://" in place else ""
    return examine_job(Asked(url=url, folder=_folder(options, recipe), groups=frozenset(groups)), world)


def _folder(options: Train, recipe: Recipe) -> Path:
    return options.run or Path("runs") / recipe.name


def _saved(recipe: Recipe, run: Path) -> str:
    """Which step is saved, in the words that a single process would use."""
    from videoar.pretrain.checkpoint.format import saved_steps
    from videoar.pretrain.run_folder import checkpoints

    try:
        steps = saved_steps(checkpoints(run, recipe))
    except (InputError, StoreError):  # the store does not answer: the run was stopped all the same
        return "stopped after a signal"
    return f"step {steps[-1]} of {recipe.num_steps} is saved in {run}" if steps else f"nothing is saved yet in {run}"


class _Beginning(TypedDict):
    """What a run starts from, as arguments of the training functions."""

    change: bool
    origin: str
    init: Path | None
    other_tokenizer: bool


def _beginning(options: Train) -> _Beginning:
    return {
        "change": options.change,
        "origin": options.from_ or "",
        "init": options.init,
        "other_tokenizer": options.other_tokenizer,
    }


def _going_further(options: Train) -> list[str]:
    origin = ["--from", options.from_] if options.from_ else []
    weights = ["--init", str(options.init)] if options.init else []
    return ["--change"] * options.change + origin + weights + ["--other-tokenizer"] * options.other_tokenizer
