"""`videoar data ...`: from clips to shards of bit codes."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import (
    RecipeName,
    complain,
    for_pretraining,
    make_folder,
    parse,
    parse_with_recipe,
    say,
)
from videoar.cluster.ground.errors import InputError

if TYPE_CHECKING:
    from videoar.data_pipeline.preparing.prepare import DataProgress
    from videoar.data_pipeline.shards.manifest import Manifest
    from videoar.data_pipeline.shards.sample import SampleEntry
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
    from videoar.cluster.cli.plan_summary import facts, tables
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.planning.all_datasets import PlanProgress, plan_all

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
    retry_failed: bool = False
    """Make the units again in which clips failed, once what was wrong is mended; the others stay as they are."""
    address: str = ""
    """HOST:PORT of a running Ray head to work on; its token comes from RAY_AUTH_TOKEN_PATH."""
    json: bool = False
    """At the end one JSON line about everything, instead of one a dataset."""


def run(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(RunData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.preparing.prepare import prepare

    last: list[DataProgress] = []
    began = time.monotonic()
    with ProgressLine("data") as line:

        def tell(now: DataProgress) -> None:
            last[:] = [now]
            line(now.num_done, now.num_clips, _figures(now))

        with redirect_stdout(sys.stderr):  # Ray prints there what it thinks of workers that died
            made = prepare(
                recipe.data,
                _output(recipe, options.output),
                address=options.address,
                retry_failed=options.retry_failed,
                progress=tell,
            )
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
    from videoar.data_pipeline.preparing.stats import stats as count

    def tell(url: str) -> bool:
        found = count(url)
        say(json.dumps(asdict(found)))
        return found.is_balanced

    return _each_dataset(options.url, tell)


@dataclass(frozen=True, kw_only=True)
class VerifyData:
    """Read what is prepared at URL again, finished or not: the sha256 of every shard, and a sample of each.

    One JSON line a dataset; exit code 1 if anything is wrong. Then --repair takes what is damaged off the record, and
    `videoar data run` with the same recipe makes it again; the rest stays as it is.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""
    repair: bool = False
    """Take damaged shards off the record. The dataset counts as unfinished until they are made again."""


def verify(words: Sequence[str], prog: str) -> int:
    options = parse(VerifyData, words, prog)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.preparing.verify import verify as read_again

    def tell(url: str) -> bool:
        began = time.monotonic()
        with ProgressLine("verify") as line:

            def progress(done: int, total: int, size_bytes: int) -> None:
                seconds = max(1e-9, time.monotonic() - began)
                left_s = (total - done) * seconds / done
                line(done, total, {"mb_per_s": round(size_bytes / seconds / 1e6, 1), "eta_s": round(left_s)})

            found = read_again(url, repair=options.repair, progress=progress)
        say(json.dumps({"url": url, **asdict(found)}))
        return not found.problems

    return _each_dataset(options.url, tell)


@dataclass(frozen=True, kw_only=True)
class GcData:
    """Remove shards that no commit names and uploads that were never completed, left by attempts that died."""

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""
    min_age_s: float = 3600.0
    """What was written in the last so many seconds stays: a run may be about to commit it. Use 0 only when none goes
    on, or shards of its may be lost, which `videoar data verify --repair` finds."""


def gc(words: Sequence[str], prog: str) -> int:
    options = parse(GcData, words, prog)
    if not options.min_age_s >= 0:
        raise InputError("min-age-s", options.min_age_s, "is no age", "give seconds, 0 or more")
    from videoar.data_pipeline.preparing.gc import gc as clear

    def tell(url: str) -> bool:
        say(json.dumps({"url": url, "removed": clear(url, min_age_s=options.min_age_s)}))
        return True

    return _each_dataset(options.url, tell)


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
    if options.clips < 1:
        raise InputError("clips", options.clips, "is no number of clips to decode", "give 1 or more")
    if options.shard is not None and options.sample is not None:
        raise InputError("sample", options.sample, f"is given beside the shard {options.shard}", "give one of both")
    import torch

    from videoar.data_pipeline.preparing.inspect import check_tokenizer, contact_sheet, decoded, header_of, save_png
    from videoar.data_pipeline.shards.manifest import open_manifest
    from videoar.data_pipeline.shards.reader import ShardReader
    from videoar.pretrain.generate.video import save_mp4, to_frames

    manifest, folder = open_manifest(options.url), make_folder("out", options.out)
    entries = _inspected(manifest, options)
    tokenizer = _tokenizer(options)
    check_tokenizer(manifest, tokenizer)
    say(json.dumps({"shard": entries[0].shard, "num_samples": len(entries), **header_of(manifest, entries[0])}))
    for entry in entries:
        say(json.dumps(asdict(entry)))
    reader = ShardReader(manifest)
    with torch.inference_mode():
        clips = {entry.key: to_frames(decoded(reader, entry, tokenizer))[0] for entry in entries[: options.clips]}
    reader.close()
    for key, frames in clips.items():
        save_mp4(frames, folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', key)}.mp4", manifest.fps)
    say(json.dumps({"sheet": str(save_png(contact_sheet(list(clips.values())), folder / "sheet.png"))}))
    return 0


def _inspected(manifest: Manifest, options: InspectData) -> tuple[SampleEntry, ...]:
    from videoar.data_pipeline.preparing.inspect import sample_named, samples_of

    if options.sample is not None:
        return (sample_named(manifest, options.sample),)
    return samples_of(manifest, options.shard or manifest.entries[0].shard)


def _tokenizer(options: InspectData) -> VideoTokenizer:
    from videoar.cluster.ground.serialize import from_dict
    from videoar.data_pipeline.shards.manifest import read_dataset
    from videoar.data_pipeline.storage.objects import Storage
    from videoar.tokenizer import open_tokenizer
    from videoar.tokenizer.config import TokenizerSource

    if options.tokenizer is not None:
        return open_tokenizer(TokenizerSource(path=options.tokenizer))
    recorded = read_dataset(Storage.open(options.url)).get("tokenizer", {})
    return open_tokenizer(from_dict(TokenizerSource, recorded, "tokenizer"))


def _each_dataset(target: str, work: Callable[[str], bool]) -> int:
    """Exit code over all datasets there: 1 where work on one says no; 2 where one cannot be read, told in one line."""
    from videoar.data_pipeline.preparing.verify import find_datasets

    code = 0
    for url in find_datasets(_prepared(target)):
        try:
            code = max(code, 0 if work(url) else 1)
        except InputError as error:
            complain(error)
            code = 2
    return code


def _output(recipe: Recipe, given: str | None) -> str:
    url = given or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    return url


def _prepared(target: str) -> str:
    """The URL that a person means: a URL or folder as it is, otherwise data.url of the recipe of that name."""
    if ("/" in target and not target.endswith((".yaml", ".yml"))) or Path(target).is_dir():
        return target
    from videoar.configs.load import find_recipe

    recipe = for_pretraining(find_recipe(target))
    if not recipe.data.url:
        raise InputError("URL", target, "is a recipe that names no shards (data.url is empty)", "give a folder or URL")
    return recipe.data.url
