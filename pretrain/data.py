"""The data of a run: prepared if the recipe names none, opened, and checked against the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import World
from videoar.cluster.ground.processes.sign_of_life import alive, wait_for
from videoar.cluster.ground.progress import ProgressLine
from videoar.data_pipeline.loading.loader import Content, StepLoader
from videoar.data_pipeline.loading.online import open_plans
from videoar.data_pipeline.loading.pack_reader import PackReader, Packs
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler, StepPlan
from videoar.data_pipeline.planning.all_datasets import check_paths as check_data_paths
from videoar.data_pipeline.planning.all_datasets import plan_all, shown_on
from videoar.data_pipeline.shards.manifest import Manifest, open_manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.text.protocol import TextTokens
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.model.vocabulary import text_tokens
from videoar.pretrain.run_folder import DATA
from videoar.pretrain.stages import StagePosition
from videoar.tokenizer import open_tokenizer

_READY = ".ready"
"""Marker file in RUN/data: shards, and states of captions if there are any, are complete."""
_WORKING = ".working"
"""File in RUN/data that the first process refreshes while it prepares."""
_PLANNED = ".planned"
"""Marker file in RUN/data: the plans are complete (data.online makes no shards)."""


def prepare_data(recipe: Recipe, run: Path, world: World) -> Recipe:
    """The recipe with the URL of its data; if it names none, the first process prepares the data in RUN/data.

    It prepares shards, or with data.online only the plan.
    """
    if recipe.data.url:
        return recipe
    output = run / DATA
    ready = output / (_PLANNED if recipe.data.online else _READY)
    if world.is_first:
        with alive(output / _WORKING):
            _prepare(recipe, output)
            ready.touch()
    else:
        wait_for(ready, output / _WORKING, f"prepares {output}", recipe.faults.hang_timeout_s)
    return replace(recipe, data=replace(recipe.data, url=str(output)))


def _prepare(recipe: Recipe, output: Path) -> None:
    """Plan, make shards and encode captions, as far as the recipe asks for it, with their progress."""
    with ProgressLine("data") as line:
        if recipe.data.online:
            plan_all(recipe.data, str(output), progress=shown_on(line))
        else:
            _prepare_shards(recipe, output, line)
        if recipe.model.text.kind == "t5":
            prepare_text(recipe, str(output), lambda done, total: line(done, total, {}, "captions"))


def _prepare_shards(recipe: Recipe, output: Path, line: ProgressLine) -> None:
    from videoar.data_pipeline.preparing.prepare import (
        DataProgress,
        prepare,
    )  # needs Ray, which reading shards does not

    def on_progress(now: DataProgress) -> None:
        line(now.num_done, now.num_clips, now.figures)

    with redirect_stdout(sys.stderr):  # Ray prints messages about dead workers
        prepare(recipe.data, str(output), planning=shown_on(line), progress=on_progress)


def check_paths(recipe: Recipe, run: Path) -> None:
    """Raise InputErrors that name every wrong path of the data which the run is to prepare; nothing is written."""
    if not recipe.data.url:
        check_data_paths(recipe.data, str(run / DATA))


def open_datasets(recipe: Recipe, device: torch.device | None = None) -> dict[str, Manifest]:
    """Every dataset of the stages and the validation, checked against the recipe; `device` as in `open_manifests`."""
    names = [part.dataset for stage in recipe.stages for part in stage.mixture] + list(recipe.log.validation)
    manifests = open_manifests(recipe, recipe.data.url, dict.fromkeys(names), device)
    for name, manifest in manifests.items():
        _check(recipe, name, manifest)
    if len({manifest.tokenizer_hash for manifest in manifests.values()}) > 1:
        hashes = {name: manifest.tokenizer_hash for name, manifest in manifests.items()}
        raise InputError("data.url", hashes, "were made by different tokenizers", "prepare all with one")
    return manifests


def open_manifests(
    recipe: Recipe, url: str, names: Iterable[str], device: torch.device | None = None
) -> dict[str, Manifest]:
    """The named datasets below a URL: their shards, or with data.online their plans.

    Samples of a plan are encoded on `device`, by default on the CPU.
    """
    if recipe.data.online:
        return open_plans(recipe.data, url, names, device or torch.device("cpu"), recipe.loader.online_cache_bytes)
    return {name: open_manifest(f"{url.rstrip('/')}/{name}") for name in names}


def _check(recipe: Recipe, name: str, manifest: Manifest) -> None:
    if manifest.latent_dim != recipe.model.latent_dim:
        raise InputError(
            "model.latent_dim",
            recipe.model.latent_dim,
            f"differs from the {manifest.latent_dim} bits per token of {name}",
            "use that number, or prepare the data with another tokenizer",
        )
    dataset = next(dataset for dataset in recipe.data.datasets if dataset.name == name)
    wanted = sorted({bucket.schedule for bucket in dataset.buckets})
    if not set(manifest.schedule_hashes) <= set(wanted):
        raise InputError(
            f"data.{name}.bucket.schedule",
            ", ".join(wanted),
            f"differs from that of the shards: {', '.join(manifest.schedule_hashes)}",
            "correct the recipe, or prepare the data again",
        )
    if recipe.correction.needs_latent and manifest.latent == "none":
        raise InputError(
            "correction.targets",
            "corrected",
            f"needs the latent, and the shards of {name} hold bits only",
            "prepare the data with data.latent=int8, or set correction.targets=stored or correction.corruption=off",
        )


def check_tokenizer(recipe: Recipe, datasets: Mapping[str, Manifest]) -> None:
    """InputError if the recipe's tokenizer does not exist, or is not the one that made the shards.

    Found later, at the export, the whole run would be of no use. A recipe without a path may train on any shards.
    """
    source = recipe.tokenizer
    if not source.path:
        return
    found, made_by = open_tokenizer(source).hash, next(iter(datasets.values())).tokenizer_hash
    if found != made_by:
        raise InputError(
            "data.tokenizer.path",
            source.path,
            f"is tokenizer {found}, and the data of {recipe.data.url} was made by {made_by}",
            "give the folder of the one that made the data, or prepare the data again with this one",
        )


def open_text(recipe: Recipe, datasets: Mapping[str, Manifest]) -> TextTokens:
    """Opens what turns captions into text tokens: tables of the model, or the T5 states stored with these datasets."""
    text = recipe.model.text
    if text.kind != "t5":
        return text_tokens(text)
    from videoar.data_pipeline.text.states import StatesText  # needs transformers, which other texts do not

    return StatesText.open(list(datasets.values()), text.encoder_hash, text.max_tokens, text.width)


def with_encoder(recipe: Recipe, datasets: Mapping[str, Manifest]) -> Recipe:
    """The recipe with the hash of the T5 encoder whose states are used; checkpoints and exports record it."""
    text = recipe.model.text
    if text.kind != "t5":
        return recipe
    from videoar.data_pipeline.text.states import StatesText

    found = StatesText.open(list(datasets.values()), text.encoder_hash, text.max_tokens, text.width).hash
    return replace(recipe, model=replace(recipe.model, text=replace(text, encoder_hash=found)))


def prepare_text(recipe: Recipe, url: str, on_progress: Callable[[int, int], None] | None = None) -> dict[str, str]:
    """Encode the captions of every dataset below a URL, on the GPU if there is one; the encoder's hash by dataset."""
    from videoar.data_pipeline.text.states import prepare_states
    from videoar.data_pipeline.text.t5 import T5Encoder

    text = recipe.model.text
    if text.kind != "t5":
        raise InputError("model.text.kind", text.kind, "has no encoder", "set it to t5, with model.text.path")
    encoder = T5Encoder(text.path, text.max_tokens)
    if encoder.width != text.width:
        raise InputError("model.text.width", text.width, f"differs from the encoder's {encoder.width}", "use that")
    if text.encoder_hash not in ("", encoder.hash):
        raise InputError(
            "model.text.path",
            text.path,
            f"is encoder {encoder.hash}, but model.text.encoder_hash is {text.encoder_hash}",
            "give the folder of that encoder, or correct the hash",
        )
    names = [dataset.name for dataset in recipe.data.datasets]
    for manifest in open_manifests(recipe, url, names).values():
        prepare_states(manifest, encoder, on_progress)
    return {dataset.name: encoder.hash for dataset in recipe.data.datasets}


def make_sampler(recipe: Recipe, stage: StageConfig, datasets: dict[str, Manifest]) -> PackSampler:
    """The order of a stage's packs: a function of the data, the stage and the seed."""
    return PackSampler(
        [datasets[part.dataset] for part in stage.mixture],
        [part.weight for part in stage.mixture],
        stage.tokens_per_pack,
        stage.batch,
        recipe.seed,
        open_text(recipe, {part.dataset: datasets[part.dataset] for part in stage.mixture}),
        recipe.model.history,
    )


@contextmanager
def open_steps(
    recipe: Recipe,
    position: StagePosition,
    datasets: dict[str, Manifest],
    state: LoaderState,
    mine: Callable[[StepPlan], Sequence[int]],
    build: Callable[[Packs], Content],
) -> Iterator[StepLoader[Content]]:
    """The steps of a stage from a loader state on. Near its end, the first shards of the next stage are fetched too.

    `mine` and `build` are as in `StepLoader`.
    """
    stages = recipe.stages[position.index : position.index + 2]
    parts = [part.dataset for stage in stages for part in stage.mixture]
    manifests = [datasets[name] for name in dict.fromkeys(parts)]

    def following() -> Iterator[SampleEntry]:
        for stage in stages[1:]:
            sampler, later = make_sampler(recipe, stage, datasets), LoaderState()
            for _ in range(recipe.loader.prefetch_steps):
                plan, later = sampler.next(later)
                for index in mine(plan):
                    yield from plan.packs[index].entries

    sampler = make_sampler(recipe, position.stage, datasets)
    with (
        closing(
            PackReader(manifests, open_text(recipe, datasets), recipe.loader, latents=recipe.correction.needs_latent)
        ) as reader,
        StepLoader(sampler, reader, state, mine, recipe.loader, following, build) as steps,
    ):
        yield steps
