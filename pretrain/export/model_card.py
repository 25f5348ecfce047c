"""The model card of an export, written only from what the run recorded."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from safetensors import safe_open

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import Recipe
from videoar.pretrain.model.pretrained import CARD, INDEX, ExportConfig
from videoar.pretrain.record.lines import of_steps
from videoar.pretrain.run_folder import EVENTS, METRICS, read_lines
from videoar.pretrain.stages import nth_stage, stage_at

LIBRARY = "videoar"
"""The library that opens the weights, as the Hugging Face Hub lists it."""
_LICENCE = re.compile(r"[a-z][a-z0-9.+-]{0,63}")


def check_license(value: str) -> None:
    """InputError for what cannot be the identifier of a licence; the Hub knows which there are."""
    if value and not _LICENCE.fullmatch(value):
        remedy = "use one such as apache-2.0, mit, cc-by-nc-4.0 or other"
        raise InputError("license", value, "is not an identifier of a licence on the Hugging Face Hub", remedy)


def write_card(
    folder: Path, config: ExportConfig, recipe: Recipe, run: Path, license: str = "", command: str = ""
) -> None:
    """Write README.md into an exported folder; with an empty `license`, it names none.

    `command` is the command that exported the weights; empty if there was none.
    """
    sections = (
        _front_matter(config, license),
        _head(config, num_parameters(folder), command),
        _usage(config, recipe),
        _training(config, recipe, run),
        _results(config, run),
        _data(config, recipe),
    )
    (folder / CARD).write_text("\n\n".join(sections) + "\n")


def num_parameters(folder: Path) -> int:
    """Parameters of an export, counted from the headers of its files."""
    total = 0
    places = json.loads((folder / INDEX).read_text())["weight_map"]
    for name in sorted(set(places.values())):
        with safe_open(folder / name, framework="pt") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
    return total


def _front_matter(config: ExportConfig, license: str) -> str:
    """What the Hub lists and searches by. It has no task for videos of a class."""
    reads_text = config.model.text.kind != "label"
    return "\n".join(
        (
            "---",
            *([f"license: {license}"] if license else []),
            f"library_name: {LIBRARY}",
            *(["pipeline_tag: text-to-video"] if reads_text else []),
            "tags:",
            "- video-generation",
            "- autoregressive",
            *([] if reads_text else ["- class-conditional"]),
            "---",
        )
    )


def _head(config: ExportConfig, parameters: int, command: str) -> str:
    model, origin = config.model, config.provenance
    which = "moving average of the weights" if origin.ema else "weights"
    return "\n".join(
        (
            f"# {origin.recipe}, step {origin.step}",
            "",
            f"A bitwise, next-frame and next-scale video generator (VideoAR): {parameters:,} parameters, "
            f"{model.num_layers} layers of width {model.width}, {model.num_heads} heads, {model.latent_dim} bits a "
            f"token. These are the {which} of run `{origin.run}` after {origin.step} steps.",
            *(["", f"Exported by `{command}`."] if command else []),
        )
    )


def _usage(config: ExportConfig, recipe: Recipe) -> str:
    condition = 'prompt="..."' if config.model.text.kind != "label" else "label=0"
    shape = config.shapes[0]
    return "\n".join(
        (
            "## Use",
            "",
            "```python",
            "from videoar.pretrain.generate import VideoPipeline",
            "",
            "pipeline = VideoPipeline.from_pretrained(folder)",
            f'pipeline({condition}, num_frames={shape.num_frames}, seed=0).save("x.mp4")',
            "```",
            "",
            _table(
                ("frame size", "pixel frames", "frames a second"),
                [(shape.schedule, shape.num_frames, shape.fps) for shape in config.shapes],
            ),
            "",
            f"Each frame sees {config.window} past latent frames. Guidance defaults to `{config.guidance}`"
            + (f", for a clip that is continued to `{config.continued_guidance}`" if config.continued_guidance else "")
            + ("." if recipe.text_dropout else ": text_dropout was 0, so there is no trained model without text."),
        )
    )


def _training(config: ExportConfig, recipe: Recipe, run: Path) -> str:
    step = config.provenance.step
    ended = config.provenance.ended
    last = stage_at(recipe.stages, max(step - 1, 0), ended).index
    rows = []
    for index, stage in enumerate(recipe.stages[: last + 1]):
        place = nth_stage(recipe.stages, index, ended)
        done = (ended[index] if index < len(ended) else min(step, place.end_step)) - place.first_step
        mixture = ", ".join(f"{part.dataset} x{part.weight:g}" for part in stage.mixture)
        rows.append((stage.name, f"{done} of {stage.steps}", mixture, stage.batch, stage.tokens_per_pack))
    return "\n".join(
        (
            "## Training",
            "",
            f"Recipe `{recipe.name}`, hash `{config.provenance.recipe_hash}`, {recipe.precision}, seed {recipe.seed}."
            + _beginning(run),
            "",
            _table(("stage", "steps", "data", "packs a step", "tokens a pack"), rows),
        )
    )


def _beginning(run: Path) -> str:
    """What the run began from, if not from random weights."""
    path = run / EVENTS
    events = read_lines(path) if path.is_file() else []
    begun = next((event for event in events if event.get("event") == "begun_from"), None)
    if begun is None:
        return ""
    if "of" not in begun:  # a step of another run
        return f" Begun from `{Path(begun['origin']).name}`."
    kind, new = "moving average" if begun["average"] else "weights", begun["new"]
    return f" Fine-tuned from the {kind} of run `{begun['of']}`, step {begun['of_step']}" + (
        f"; new: {', '.join(f'`{name}`' for name in new)}." if new else "."
    )


def _results(config: ExportConfig, run: Path) -> str:
    """The last training step before the export, as the run logged it."""
    path = run / METRICS
    lines = read_lines(path) if path.is_file() else []
    records = [record for record in of_steps(lines) if record["step"] < config.provenance.step]
    if not records:
        return "## Results\n\nThe run recorded no results."
    last = records[-1]
    accuracy = math.nan if last["bit_accuracy"] is None else last["bit_accuracy"]
    return (
        f"## Results\n\nTraining, step {last['step']}: loss {last['loss']:.4f} nats a bit (chance is "
        f"{math.log(2):.4f}), teacher-forced bit accuracy {accuracy:.4f} (chance is 0.5). "
        "This is on training data, its history flipped where the recipe asks for it."
    )


def _data(config: ExportConfig, recipe: Recipe) -> str:
    sources = {dataset.name: Path(dataset.source.path).name or dataset.source.kind for dataset in recipe.data.datasets}
    rows = [(used.dataset, sources.get(used.dataset, ""), f"`{used.manifest_hash}`") for used in config.provenance.data]
    return "\n".join(
        (
            "## Data and tokenizer",
            "",
            _table(("dataset", "source", "manifest"), rows),
            "",
            f"Tokenizer `{config.tokenizer_hash}`, in `tokenizer/`.",
        )
    )


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
