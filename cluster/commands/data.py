"""`videoar data ...`: from clips to shards of bit codes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.arguments import RecipeName, for_pretraining, make_folder, parse, parse_with_recipe, say
from videoar.cluster.errors import InputError

if TYPE_CHECKING:
    from videoar.data_pipeline.clip import SampleEntry
    from videoar.data_pipeline.manifest import Manifest
    from videoar.data_pipeline.run import DataProgress
    from videoar.pretrain.config import Recipe
    from videoar.tokenizer import VideoTokenizer

Output = Annotated[str | None, arg(metavar="URL")]
Prepared = Positional[Annotated[str, arg(metavar="URL")]]


@dataclass(frozen=True, kw_only=True)
class PlanData:
    """Decide which clips stand in which shard, without making any.

    Every source is opened, cut into shots, windows and variants, judged by the rules of the recipe and given a shape.
    The plan is written to URL/DATASET and kept: `data run` works through it, however the sources change meanwhile.
    Every input is planned or left out with a reason, which URL/DATASET/skipped.parquet holds.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Output = None
    """Folder or fsspec URL that the shards will go to; data.url of the recipe where not given."""
    json: bool = False
    """One JSON line a dataset instead of a table."""


def plan(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(PlanData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.plan_summary import facts, tables
    from videoar.cluster.progress import ProgressLine
    from videoar.data_pipeline.planning import PlanProgress, plan_all

    with ProgressLine("plan") as line:

        def tell(now: PlanProgress) -> None:
            figures = {"dataset": now.dataset, "clips": now.num_clips, "inputs_per_s": round(now.inputs_per_s, 2)}
            line(now.num_done, now.num_inputs, figures | {"eta_s": None if now.eta_s is None else round(now.eta_s)})

        planned = plan_all(recipe.data, _output(recipe, options.output), progress=tell)
    if options.json:
        for item in planned:
            say(json.dumps(facts(item)))
    else:
        say(tables(planned))
    return 0


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Make the shards of every dataset of a recipe, by Ray actors; the same command again goes on.

    What is committed is not made again. Clips that fail are recorded with a reason; the job stops when more than
    data.max_failed_fraction do. Without an address it starts a cluster on this machine, on loopback and behind a token;
    as a Ray Job it works on the cluster it was submitted to. `videoar train RECIPE --data.url URL` trains on it.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Output = None
    """Folder or fsspec URL to write to; data.url of the recipe where not given."""
    address: str = ""
    """HOST:PORT of a running Ray head to work on; its token comes from RAY_AUTH_TOKEN_PATH."""
    json: bool = False
    """At the end one JSON line about everything, instead of one a dataset."""


def run(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(RunData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.progress import ProgressLine
    from videoar.data_pipeline.run import prepare

    last: list[DataProgress] = []
    began = time.monotonic()
    with ProgressLine("data") as line:

        def tell(now: DataProgress) -> None:
            last[:] = [now]
            line(now.num_done, now.num_clips, _figures(now))

        with redirect_stdout(sys.stderr):  # Ray prints there what it thinks of workers that died
            made = prepare(recipe.data, _output(recipe, options.output), address=options.address, progress=tell)
    if options.json:
        figures = _figures(last[0]) if last else {}
        say(json.dumps({"datasets": made, "seconds": round(time.monotonic() - began, 2), **figures}))
        return 0
    for name, url in made.items():
        say(json.dumps({"dataset": name, "url": url}))
    return 0


def _figures(now: DataProgress) -> dict[str, object]:
    """What this run has done so far, the most telling first."""
    return {
        "clips_per_s": round(now.clips_per_s, 2),
        "shards": f"{now.num_units_done}/{now.num_units}",
        "failed": now.failed,
        "size_bytes": now.size_bytes,
        "eta_s": None if now.eta_s is None else round(now.eta_s),
    }


@dataclass(frozen=True, kw_only=True)
class StatsData:
    """Account for every input and clip at URL, finished or not: planned, left out, failed and why, still to be made.

    One JSON line a dataset; exit code 1 if the sums do not come out.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def stats(words: Sequence[str], prog: str) -> int:
    options = parse(StatsData, words, prog)
    from videoar.data_pipeline.stats import stats as count
    from videoar.data_pipeline.verify import find_datasets

    is_balanced = True
    for url in find_datasets(_prepared(options.url)):
        found = count(url)
        is_balanced = is_balanced and found.is_balanced
        say(json.dumps(asdict(found)))
    return 0 if is_balanced else 1


@dataclass(frozen=True, kw_only=True)
class VerifyData:
    """Read what is prepared at URL again: the sha256 of every shard, and a sample of each.

    One JSON line a dataset; exit code 1 if anything is wrong.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def verify(words: Sequence[str], prog: str) -> int:
    options = parse(VerifyData, words, prog)
    from videoar.data_pipeline.verify import find_datasets
    from videoar.data_pipeline.verify import verify as read_again

    is_sound = True
    for url in find_datasets(_prepared(options.url)):
        found = read_again(url)
        is_sound = is_sound and not found.problems
        say(json.dumps({"url": url, **asdict(found)}))
    return 0 if is_sound else 1


@dataclass(frozen=True, kw_only=True)
class GcData:
    """Remove shards that no commit names, left by attempts that died. Not while `data run` works on the same URL."""

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def gc(words: Sequence[str], prog: str) -> int:
    options = parse(GcData, words, prog)
    from videoar.data_pipeline.verify import find_datasets
    from videoar.data_pipeline.verify import gc as clear

    for url in find_datasets(_prepared(options.url)):
        say(json.dumps({"url": url, "removed": clear(url)}))
    return 0


@dataclass(frozen=True, kw_only=True)
class InspectData:
    """Show what is in a shard: its header, its samples, and the clips that the tokenizer makes of their bits.

    Prints the header and one JSON line a sample; writes a contact sheet (a row a clip) and an MP4 of each clip.
    """

    url: Prepared
    """Folder or fsspec URL of one finished dataset."""
    shard: Positional[Annotated[str | None, arg(metavar="SHARD")]] = None
    """Its key or its number in the plan; the first where neither it nor a sample is given."""
    sample: Annotated[str | None, arg(metavar="KEY")] = None
    """This one sample instead."""
    out: Annotated[Path, arg(metavar="DIR")] = Path("inspect")
    """Folder for the pictures."""
    tokenizer: Annotated[str | None, arg(metavar="DIR")] = None
    """Folder of the tokenizer's weights; the one recorded with the dataset where not given."""
    clips: Annotated[int, arg(metavar="N")] = 16
    """At most so many clips are decoded."""


def inspect(words: Sequence[str], prog: str) -> int:
    options = parse(InspectData, words, prog)
    import torch

    from videoar.data_pipeline.inspect import check_tokenizer, contact_sheet, decoded, header_of, save_png
    from videoar.data_pipeline.manifest import open_manifest
    from videoar.data_pipeline.shards import ShardReader
    from videoar.pretrain.generate.video import save_mp4, to_frames

    manifest = open_manifest(options.url)
    entries = _inspected(manifest, options)
    tokenizer = _tokenizer(options)
    check_tokenizer(manifest, tokenizer)
    say(json.dumps({"shard": entries[0].shard, "num_samples": len(entries), **header_of(manifest, entries[0])}))
    for entry in entries:
        say(json.dumps(asdict(entry)))
    reader, folder = ShardReader(manifest), make_folder("out", options.out)
    with torch.inference_mode():
        clips = {entry.key: to_frames(decoded(reader, entry, tokenizer))[0] for entry in entries[: options.clips]}
    reader.close()
    for key, frames in clips.items():
        save_mp4(frames, folder / f"{key}.mp4", manifest.fps)
    say(json.dumps({"sheet": str(save_png(contact_sheet(list(clips.values())), folder / "sheet.png"))}))
    return 0


def _inspected(manifest: Manifest, options: InspectData) -> tuple[SampleEntry, ...]:
    from videoar.data_pipeline.inspect import sample_named, samples_of

    if options.sample is not None:
        return (sample_named(manifest, options.sample),)
    return samples_of(manifest, options.shard or manifest.entries[0].shard)


def _tokenizer(options: InspectData) -> VideoTokenizer:
    from videoar.cluster.serialize import from_dict
    from videoar.data_pipeline.manifest import read_dataset
    from videoar.data_pipeline.storage import Storage
    from videoar.tokenizer import open_tokenizer
    from videoar.tokenizer.config import TokenizerSource

    if options.tokenizer is not None:
        return open_tokenizer(TokenizerSource(path=options.tokenizer))
    recorded = read_dataset(Storage.open(options.url)).get("tokenizer", {})
    return open_tokenizer(from_dict(TokenizerSource, recorded, "tokenizer"))


def _output(recipe: Recipe, given: str | None) -> str:
    url = given or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    return url


def _prepared(target: str) -> str:
    """The URL that a person means: a URL or folder as it is, otherwise data.url of the recipe of that name."""
    if "/" in target and not target.endswith((".yaml", ".yml")):
        return target
    from videoar.configs.load import find_recipe

    recipe = for_pretraining(find_recipe(target))
    if not recipe.data.url:
        raise InputError("URL", target, "is a recipe that names no shards (data.url is empty)", "give a folder or URL")
    return recipe.data.url
