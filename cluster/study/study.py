"""`videoar study`: trains every arm with every seed, measures it, and rewrites the page after each.

One folder holds everything. Rerunning the command resumes: what has a line in results.jsonl is not run again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.files import check_folder, first_stranger, write_atomically
from videoar.cluster.ground.processes.preemption import Preemption
from videoar.cluster.ground.progress import ProgressLine
from videoar.cluster.study.page import render
from videoar.cluster.study.results import Key, keep_result, read_results
from videoar.cluster.study.table import markdown
from videoar.data_pipeline.preparing.prepare import DataProgress, prepare
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.config import Recipe
from videoar.pretrain.evaluate.bits import read_samples
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model.pretrained import CONFIG
from videoar.pretrain.model.vocabulary import text_tokens
from videoar.pretrain.run_folder import LOCK, sole_writer
from videoar.pretrain.study.definition import Arm, Study
from videoar.pretrain.study.measure import baselines, measure
from videoar.pretrain.train import train

DEFINITION = "study.yaml"
RESULTS = "results.jsonl"
BASELINES = "baselines.json"
PAGE = "page.html"
TABLE = "results.md"

STOP_WITHIN_S = 60.0
"""Seconds after a signal in which tokenizing or measuring must end; training has its own limit."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What of a study is run."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]

    @property
    def keys(self) -> list[Key]:
        """Seed by seed, so that a stopped study has compared as many arms as possible."""
        return [(arm.name, seed) for seed in self.seeds for arm in self.arms]


@dataclass(frozen=True, slots=True)
class Folders:
    """The places in a study's folder."""

    out: Path

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def results(self) -> Path:
        return self.out / RESULTS

    def run(self, key: Key) -> Path:
        return self.out / "runs" / f"{key[0]}-{key[1]}"

    def weights(self, key: Key) -> Path:
        return self.out / "weights" / f"{key[0]}-{key[1]}"


def run_study(study: Study, chosen: Chosen, out: Path, say: Say, *, again: bool = False) -> Path:
    """Train and measure the chosen runs that have no result yet; the path of the page.

    `again`: train nothing, and measure the trained runs again.
    """
    folders = Folders(out)
    check_study(study, out)
    if again:
        remaining(folders, chosen, again=True)  # before anything is written
    with sole_writer(out, "out", "study"):
        write_atomically(out / DEFINITION, to_yaml(study))
        todo = remaining(folders, chosen, again=again)
        if not again:
            tokenize(study, folders.data)
        held = held_samples(study, folders.data)
        for place, key in enumerate(todo):
            began = time.monotonic()
            if not again:
                make(study, key, folders)
            with Preemption(STOP_WITHIN_S):
                line = measured(study, key, folders, held, time.monotonic() - began)
            keep_result(folders.results, line)
            show(study, folders)
            say(told(line, place + 1, len(todo), time.monotonic() - began))
        show(study, folders)
    say(f"page: {out / PAGE}")
    return out / PAGE


def check_study(study: Study, out: Path) -> None:
    """InputError for a folder that holds another study, or something else."""
    check_folder("out", out)
    if (out / DEFINITION).exists():
        if (out / DEFINITION).read_text(encoding="utf-8") != to_yaml(study):
            problem = f"contains a study that differs from {study.name} in steps, tokenizer or definition"
            raise InputError("out", out, problem, "give another --out, or the same options as before")
    elif (stranger := first_stranger(out, (LOCK, f".{DEFINITION}.writing"))) is not None:
        raise InputError("out", out, f"holds {stranger} and is not a study", "give a new or an empty folder")


def remaining(folders: Folders, chosen: Chosen, *, again: bool) -> list[Key]:
    """The arms and seeds without a result; with `again`, those that have trained weights."""
    if not again:
        done = read_results(folders.results)
        return [key for key in chosen.keys if key not in done]
    trained = [key for key in chosen.keys if (folders.weights(key) / CONFIG).is_file()]
    if not trained:
        raise InputError(
            "again", True, f"finds nothing trained in {folders.out}", "leave it out: the study trains first"
        )
    return trained


def tokenize(study: Study, data: Path) -> None:
    """Turn the drawn clips into shards, once for all arms."""
    # Ray prints messages about dead workers to stdout. After a signal, committed shards are kept.
    with ProgressLine("tokenize") as line, redirect_stdout(sys.stderr), Preemption(STOP_WITHIN_S):

        def on_progress(now: DataProgress) -> None:
            line(now.num_done, now.num_clips, {"clips_per_s": now.clips_per_s, "failed": now.num_failed})

        prepare(study.arms[0].recipe.data, str(data), progress=on_progress)


def held_samples(study: Study, data: Path) -> list[Sample]:
    """The held-out clips as bits and text, the same for all arms."""
    return read_samples(open_manifest(str(data / study.held.name)), text_tokens(study.arms[0].recipe.model.text))


def make(study: Study, key: Key, folders: Folders) -> None:
    """Train one arm with one seed, or what is left of it, and write its weights."""
    recipe = seeded(study, key, folders)
    train(recipe, folders.run(key))
    export(folders.run(key), folders.weights(key))


def seeded(study: Study, key: Key, folders: Folders) -> Recipe:
    """The recipe of one run."""
    return study.arm(key[0]).seeded(key[1], str(folders.data.resolve()))


def measured(study: Study, key: Key, folders: Folders, held: Sequence[Sample], train_s: float) -> dict[str, object]:
    """The line of one arm and seed."""
    began, (arm, seed) = time.monotonic(), key
    pipeline = VideoPipeline.from_pretrained(folders.weights(key), dtype=torch.float32)
    if not (folders.out / BASELINES).exists():
        found = baselines(pipeline, held, study.held, study.probes)
        write_atomically(folders.out / BASELINES, json.dumps(found) + "\n")
    with ProgressLine(f"measure {arm}, seed {seed}") as line:
        sums = measure(
            pipeline, held, study.held, study.probes, seed, lambda done, total: line(done, total, {"seed": seed})
        )
    return {
        "study": study.name,
        "arm": arm,
        "seed": seed,
        "steps": study.arm(arm).recipe.num_steps,
        "train_s": round(train_s, 1),
        "measure_s": round(time.monotonic() - began, 1),
        "sums": sums,
    }


def show(study: Study, folders: Folders) -> None:
    """Write the page and the table of what is there so far."""
    results = read_results(folders.results)
    known = folders.out / BASELINES
    guesses = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    write_atomically(folders.out / TABLE, markdown(study, results, guesses))
    write_atomically(folders.out / PAGE, render(study, results, guesses))


def told(line: dict[str, object], done: int, total: int, seconds: float) -> str:
    """A line about a finished run: how many are left, and how long they take if each takes as long as this one."""
    left = (total - done) * seconds
    ahead = f", about {left / 3600:.1f} h left" if left >= 3600 else f", about {left / 60:.0f} min left" if left else ""
    return f"{line['arm']}, seed {line['seed']}: {seconds:.0f} s; {done} of {total} done{ahead}"
