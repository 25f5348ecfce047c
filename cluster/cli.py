"""The commands of `videoar`: each a dataclass whose fields are its options, and a call of the package that does it.

Heavy packages are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from tyro.conf import Positional, arg

from videoar.cluster.arguments import HELP, parse, show_fields, split_own
from videoar.cluster.errors import InputError
from videoar.cluster.overrides import Flags, differences, override

if TYPE_CHECKING:
    from videoar.configs.load import AnyRecipe
    from videoar.configs.tokenizer_recipe import TokenizerRecipe
    from videoar.pretrain.config import Recipe

Command = TypeVar("Command")

RecipeName = Positional[Annotated[str, arg(metavar="RECIPE")]]
RunFolder = Positional[Annotated[Path, arg(metavar="RUN")]]
OutFolder = Positional[Annotated[Path, arg(metavar="OUT")]]
Weights = Positional[Annotated[Path, arg(metavar="WEIGHTS")]]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Show the resolved recipe as YAML; with --diff, the fields in which two recipes differ.

    RECIPE is a name in configs/ (`debug`) or the path of a saved config.yaml. Any field can be overridden:
    `videoar config debug --model.width 128 --stages.video.steps 4`; `videoar config debug --help` lists them all.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    diff: Annotated[str | None, arg(metavar="OTHER")] = None
    """Another recipe: print only the fields that differ, as `field: RECIPE -> OTHER`."""
    overrides: bool = False
    """Print each field as the option that sets it."""


def config(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.serialize import leaves, to_yaml
    from videoar.configs.load import find_recipe

    options, recipe, _ = parse_with_recipe(Config, words, prog)
    if options.diff is not None:
        for path, (ours, theirs) in differences(recipe, find_recipe(options.diff)).items():
            _say(f"{path}: {ours} -> {theirs}")
    elif options.overrides:
        for path, _, value in leaves(recipe):
            _say(f"--{path.replace('_', '-')} {_as_words(value)}")
    else:
        sys.stdout.write(to_yaml(recipe))
    return 0


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a generator through every stage of a recipe; the same command again resumes.

    RUN gets config.yaml, environment.json, metrics.jsonl and checkpoints/. A recipe that names no shards prepares
    them under RUN/data first. Any field can be overridden, `videoar train RECIPE --help` lists them all:

    `videoar train debug --processes 2 --parallel.tensor 2 --stages.video.steps 4`

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 saved after a signal (run it again).
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Folder of the run; runs/NAME of the recipe where not given."""
    processes: int = 1
    """Processes to start on this machine, by torchrun; under an outer torchrun leave it out."""


def train(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.preemption import Preempted
    from videoar.cluster.process import PREEMPTED_MARKER, World, launch

    options, recipe, flags = parse_with_recipe(Train, words, prog)
    recipe, world = _for_pretraining(recipe), World.here()
    run = options.run or Path("runs") / recipe.name
    if options.processes < 1 or (options.processes > 1 and world.world_size > 1):
        raise InputError(
            "processes", options.processes, f"cannot be started here, where WORLD_SIZE is {world.world_size}",
            "give 1 or more, and leave it out under torchrun",
        )  # fmt: skip
    if options.processes > 1:
        return launch(["train", options.recipe, "--run", str(run), *_flag_words(flags)], options.processes, run)
    from videoar.pretrain.train import train as train_recipe

    try:
        train_recipe(recipe, run, world)
    except Preempted:
        (run / PREEMPTED_MARKER).touch()
        raise
    if world.is_first:
        _say(str(run))
    return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Turn a training checkpoint into a folder of weights that generates.

    OUT gets config.json, safetensors, tokenizer/ and a model card; `VideoPipeline.from_pretrained(OUT)` opens it.
    """

    run: RunFolder
    """Folder that `videoar train` wrote."""
    out: OutFolder
    """Folder to write; an earlier export there is replaced."""
    step: Annotated[int | None, arg(metavar="N")] = None
    """Checkpoint to export, by its step; the newest whole one where not given."""
    ema: bool = False
    """Export the moving average of the weights instead of the weights."""


def export(words: Sequence[str], prog: str) -> int:
    options = parse(Export, words, prog)
    from videoar.pretrain.convert import export as write_export

    _say(str(write_export(options.run, options.out, options.step, ema=options.ema)))
    return 0


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make a video from a caption or a label, animate a picture, or continue a clip.

    `videoar generate WEIGHTS --prompt "a red square moves right" --out square.mp4`
    `videoar generate WEIGHTS --prompt "" --video clip.mp4 --num-frames 33 --out longer.mp4`
    """

    weights: Weights
    """Folder that `videoar export` wrote."""
    out: Annotated[Path, arg(metavar="FILE.mp4")] = Path("video.mp4")
    """File to write."""
    prompt: Annotated[str | None, arg(metavar="TEXT")] = None
    """Caption, for weights trained on captions."""
    label: Annotated[int | None, arg(metavar="N")] = None
    """Class, for weights trained on labels."""
    image: Annotated[Path | None, arg(metavar="FILE")] = None
    """Picture to animate: it becomes the first frame."""
    video: Annotated[Path | None, arg(metavar="FILE")] = None
    """Clip to continue."""
    given_frames: Annotated[int | None, arg(metavar="N")] = None
    """Last pixel frames of the clip to go on from, 1 + 4n; half of the result where not given."""
    num_frames: Annotated[int | None, arg(metavar="N")] = None
    """Pixel frames of the result, 1 + 4n, given ones included; as in training where not given."""
    seconds: Annotated[float | None, arg(metavar="S")] = None
    """Duration of the result, rounded up to a length the model can make; instead of --num-frames."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on; the largest where not given."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """`t2v`, `ucf101`, a constant such as 3 (1 is none), or four corners such as 5,4,4,3; that of training where not
    given."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likelier bit."""
    top_p: float = 1.0
    """A bit whose likelier value has at least this probability takes it; 1 keeps both values of every bit."""
    seed: int = 0
    """The same seed gives the same video on the same device."""


def generate(words: Sequence[str], prog: str) -> int:
    options = parse(Generate, words, prog)
    if options.seconds is not None and (options.num_frames is not None or options.seconds <= 0):
        raise InputError("seconds", options.seconds, "is not above 0, or stands beside num_frames", "give one of them")
    from videoar.pretrain.generate import VideoPipeline
    from videoar.tokenizer.scales import FRAMES_PER_LATENT, pixel_frames

    pipeline = VideoPipeline.from_pretrained(options.weights)
    num_frames = options.num_frames
    if options.seconds is not None:
        frames = options.seconds * pipeline.config.shapes[0].fps
        num_frames = pixel_frames(1 + math.ceil(max(0.0, frames - 1) / FRAMES_PER_LATENT))
    video = pipeline(
        options.prompt, label=options.label, image=options.image, video=options.video,
        given_frames=options.given_frames, num_frames=num_frames, schedule=options.size, guidance=options.guidance,
        temperature=options.temperature, top_p=options.top_p, seed=options.seed,
    )  # fmt: skip
    _say(str(video.save(options.out)))
    return 0


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what this machine can do: each line ok, warn or fail, with the remedy. Exit code 1 if anything fails."""

    json: bool = False
    """One JSON object a line, for scripts."""


def doctor(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.doctor import as_json, as_text, examine

    options = parse(Doctor, words, prog)
    findings = examine()
    for finding in findings:
        _say(as_json(finding) if options.json else as_text(finding))
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def parse_with_recipe(command: type[Command], words: Sequence[str], prog: str) -> tuple[Command, AnyRecipe, Flags]:
    """The command's options, the recipe it names with fields overridden, and the flags that did so.

    `--help` after the recipe's name shows the command's options and then every field of the recipe.
    """
    from videoar.cluster.arguments import own_flags
    from videoar.configs.load import find_recipe

    own, flags = split_own(command, words)
    if any(word in HELP for word in words):
        _help_with_recipe(command, own[:1], prog)
    options = parse(command, own, prog)
    recipe = find_recipe(options.recipe)  # type: ignore[attr-defined]
    return options, override(recipe, flags, own_flags(command)), flags


def _help_with_recipe(command: type, recipe: Sequence[str], prog: str) -> None:
    """Print the help and leave with SystemExit(0)."""
    from videoar.configs.load import find_recipe

    if recipe and not recipe[0].startswith("-"):
        show_fields(find_recipe(recipe[0]), f"{prog} {recipe[0]}")
    parse(command, ["--help"], prog)


def _for_pretraining(recipe: AnyRecipe) -> Recipe:
    from videoar.pretrain.config import Recipe

    if not isinstance(recipe, Recipe):
        raise InputError("RECIPE", recipe.name, "trains a tokenizer", "run `videoar tokenizer train` with it")
    return recipe


def _for_a_tokenizer(recipe: AnyRecipe) -> TokenizerRecipe:
    from videoar.configs.tokenizer_recipe import TokenizerRecipe

    if not isinstance(recipe, TokenizerRecipe):
        raise InputError("RECIPE", recipe.name, "trains a generator", "run `videoar train` with it")
    return recipe


def _flag_words(flags: Flags) -> list[str]:
    return [word for flag, values in flags.items() for word in (f"--{flag}", *values)]


def _as_words(value: Any) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
