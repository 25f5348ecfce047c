"""Whether the data is as the run expects: one tokenizer, the right schedule, texts, and bits that vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float64
from pyarrow import compute

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.sample import Sample, SampleEntry
from videoar.pretrain.batch.bit_flips import flip_ratios
from videoar.pretrain.config import Recipe, StageConfig, TextKind
from videoar.pretrain.data import make_sampler, with_encoder
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.files import UNTRAINED, USE_TRAINED
from videoar.tokenizer.scales import ScaleSchedule

CONSTANT = 1e-3
"""A bit counts as constant if its rarer value is rarer than this."""


def datasets(evidence: Evidence) -> Iterator[Finding]:
    """Every dataset can be opened, and is the one that the newest checkpoint was trained on."""
    trained_on = evidence.saved.meta["data"] if evidence.saved is not None else {}
    for name, manifest in evidence.manifests.items():
        if isinstance(manifest, Exception):
            yield Finding(
                name="data",
                state="fail",
                found=f"{name}: {manifest}",
                figures={"dataset": name},
                remedy="make the shards reachable; the other checks of this dataset are skipped until then",
            )
        elif trained_on.get(name, manifest.hash) != manifest.hash:
            yield Finding(
                name="data",
                state="fail",
                figures={"dataset": name, "hash": manifest.hash},
                found=f"{name} has hash {manifest.hash}, but the newest checkpoint was trained on {trained_on[name]}",
                remedy="set data.url to the data that the run started with",
            )
    opened = evidence.datasets.values()
    if opened:
        found = f"{len(opened)} datasets, {sum(len(manifest.entries) for manifest in opened):,} samples"
        yield Finding(name="data", state="ok", found=found)


def tokenizer(evidence: Evidence) -> Iterator[Finding]:
    """The recipe, the data and the checkpoint name the same tokenizer."""
    hashes = {f"data {name}": manifest.tokenizer_hash for name, manifest in evidence.datasets.items()}
    if evidence.saved is not None:
        hashes["checkpoint"] = evidence.saved.meta["tokenizer_hash"]
    try:
        opened = open_tokenizer(evidence.recipe.tokenizer)
        hashes["recipe"] = opened.hash
        if not opened.is_trained:
            yield Finding(name="tokenizer", state="warn", found=UNTRAINED, remedy=USE_TRAINED)
    except (InputError, OSError) as error:
        yield Finding(
            name="tokenizer",
            state="warn",
            found=f"cannot be opened: {error}",
            remedy="make data.tokenizer.path reachable: sampling and exporting need it",
        )
    if len(set(hashes.values())) > 1:
        usual = Counter(hashes.values()).most_common(1)[0][0]
        others = ", ".join(f"{where} {value}" for where, value in hashes.items() if value != usual)
        yield Finding(
            name="tokenizer",
            state="fail",
            found=f"{others}; all others have {usual}",
            figures={"hashes": hashes},
            remedy="a tokenizer cannot read the bits of another one: prepare that data again, or set data.tokenizer to "
            "the one that made it",
        )
    elif hashes:
        yield Finding(
            name="tokenizer",
            state="ok",
            found=f"{next(iter(hashes.values()))} made all data",
            figures={"hashes": hashes},
        )


def schedules(evidence: Evidence) -> Iterator[Finding]:
    """Each dataset has the scale schedule that the recipe names for it."""
    buckets = {dataset.name: dataset.buckets for dataset in evidence.recipe.data.datasets}
    wrong = []
    for name, manifest in evidence.datasets.items():
        wanted = {bucket.schedule: ScaleSchedule.named(bucket.schedule).hash for bucket in buckets[name]}
        if not manifest.schedule_hashes.items() <= wanted.items():
            wrong.append(f"{name} has {manifest.schedule_hashes}, but the recipe requires {wanted}")
        elif manifest.latent_dim != evidence.recipe.model.latent_dim:
            wrong.append(
                f"{name} has {manifest.latent_dim} bits per token, but the model has {evidence.recipe.model.latent_dim}"
            )
    if wrong:
        yield Finding(
            name="schedule", state="fail", found="; ".join(wrong), remedy="prepare the data again for this recipe"
        )
    elif evidence.datasets:
        names = sorted({name for manifest in evidence.datasets.values() for name in manifest.schedule_hashes})
        yield Finding(name="schedule", state="ok", found=", ".join(names))


def text(evidence: Evidence) -> Iterator[Finding]:
    """Every sample has the kind of condition that the model reads."""
    kind = evidence.recipe.model.text.kind
    for name, manifest in evidence.datasets.items():
        total, (bare, distinct) = len(manifest.entries), _texts(manifest.entries, kind)
        lacks = f"{name}: {bare} of {total} samples have no {'label' if kind == 'label' else 'caption'}"
        figures = {"dataset": name, "without": bare, "distinct": distinct}
        if bare == total or (kind == "label" and bare):
            yield Finding(
                name="text",
                state="fail",
                found=lacks,
                figures=figures,
                remedy="give captions or labels to the source (data.datasets), and prepare the data again",
            )
        elif bare > 0.2 * total or (distinct == 1 and total > 1):
            found = lacks if bare else f"{name}: every sample has the same text"
            yield Finding(
                name="text",
                state="warn",
                found=found,
                figures=figures,
                remedy="the model cannot learn from such texts: give captions (in a folder: x.txt next to x.mp4)",
            )
        else:
            yield Finding(
                name="text", state="ok", found=f"{name}: {distinct} different texts ({kind})", figures=figures
            )


def bits(evidence: Evidence) -> Iterator[Finding]:
    """Each bit takes both values; a constant one raises the accuracy without any learning."""
    for name, samples in evidence.samples.items():
        if isinstance(samples, InputError) and samples.field.startswith("model.text"):
            yield Finding(name="bits", state="skip", found=f"{name}: cannot be read without its texts")
            continue
        if isinstance(samples, Exception):
            yield Finding(
                name="bits",
                state="fail",
                found=f"{name}: {samples}",
                figures={"dataset": name},
                remedy="run `videoar data verify`, which names every damaged shard, and prepare those again",
            )
            continue
        ones = _share_of_ones(samples)
        rarer = np.minimum(ones, 1 - ones)
        dead = np.flatnonzero(rarer < CONSTANT).tolist()
        entropy = float(_entropy(rarer).mean())
        found = f"{name}: {entropy:.3f} bits of entropy per bit over {len(samples)} samples"
        figures = {"dataset": name, "constant": dead, "entropy": entropy, "share_of_ones": ones.round(4).tolist()}
        if dead:
            yield Finding(
                name="bits",
                state="fail" if len(dead) > len(ones) / 8 else "warn",
                figures=figures,
                found=f"{found}; {len(dead)} of {len(ones)} are constant: {', '.join(map(str, dead[:12]))}",
                remedy="the tokenizer wastes these bits and they inflate the accuracy: raise its entropy loss",
            )
        else:
            yield Finding(name="bits", state="ok", found=found, figures=figures)


def flips(evidence: Evidence) -> Iterator[Finding]:
    """The flip ratio of a stage's first step is the one that the recipe gives for the same samples."""
    if any(not isinstance(evidence.samples.get(name), list) for name in evidence.dataset_names):
        yield Finding(name="flip ratio", state="skip", found="the data cannot be read")
        return
    before = None
    for record in evidence.records:
        begins, before = record["stage"] != before and (before is not None or record["step"] == 0), record["stage"]
        if not begins:
            continue
        stage = next(stage for stage in evidence.recipe.stages if stage.name == record["stage"])
        expected, used = _expected_flips(evidence, stage, record["step"]), record["flip_ratio"]
        found = f"{used:.4f} at step {record['step']} ({stage.name}), {expected:.4f} expected from the recipe"
        wrong = not abs(used - expected) <= 1e-3  # NaN is wrong, too
        yield Finding(
            name="flip ratio",
            state="fail" if wrong else "ok",
            found=found,
            figures={"used": used, "recipe": expected},
            remedy="the run did not train with this recipe's correction: check whether its code, recipe or data changed"
            if wrong
            else "",
        )


def text_encoder(evidence: Evidence) -> Iterator[Finding]:
    """The states of the captions exist, and come from the encoder that the checkpoint was trained with."""
    if evidence.recipe.model.text.kind != "t5" or not evidence.datasets:
        return
    trained_with = evidence.saved.meta.get("text_encoder", "") if evidence.saved is not None else ""
    try:
        found = with_encoder(evidence.recipe, evidence.datasets).model.text.encoder_hash
    except (InputError, OSError) as error:
        yield Finding(name="text encoder", state="fail", found=str(error), remedy="run `videoar data text`")
        return
    other = trained_with not in ("", found)
    yield Finding(
        name="text encoder",
        state="fail" if other else "ok",
        figures={"data": found, "checkpoint": trained_with},
        found=f"{found} made the states" + (f", but the checkpoint was trained with {trained_with}" if other else ""),
        remedy="set model.text.encoder_hash to the one of the checkpoint" if other else "",
    )


def _texts(entries: Entries, kind: TextKind) -> tuple[int, int]:
    """(number of samples without a text, number of different texts) of a dataset."""
    column = entries.column("label" if kind == "label" else "caption")
    if kind == "label":
        return column.null_count, compute.count_distinct(column).as_py()
    bare = compute.sum(compute.equal(compute.utf8_trim_whitespace(column), "")).as_py()
    return int(bare or 0), compute.count_distinct(column).as_py()


def _expected_flips(evidence: Evidence, stage: StageConfig, step: int) -> float:
    """Mean over all frames and scales of the samples of the stage's first step."""
    recipe = evidence.recipe
    if recipe.correction.corruption == "off":
        return 0.0
    plan, _ = make_sampler(recipe, stage, evidence.datasets).next(LoaderState())
    entries = [entry for pack in plan.packs for entry in pack.entries]
    ratios = [_flips_of(recipe, entry, step) for entry in entries]
    return float(torch.cat(ratios).mean())


def _flips_of(recipe: Recipe, entry: SampleEntry, step: int) -> torch.Tensor:
    frame = torch.arange(entry.num_frames)
    sample_id, scales = torch.full_like(frame, entry.sample_id), ScaleSchedule.named(entry.schedule).num_scales
    return flip_ratios(sample_id, frame, scales, recipe.correction, seed=recipe.seed, step=step).flatten()


def _share_of_ones(samples: list[Sample]) -> Float64[np.ndarray, " k"]:
    return np.concatenate([sample.bits.reshape(-1, sample.bits.shape[-1]) for sample in samples]).mean(0)


def _entropy(p: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    safe = p.clip(1e-12, 1 - 1e-12)
    return -(safe * np.log2(safe) + (1 - safe) * np.log2(1 - safe))
