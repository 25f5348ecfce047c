"""`videoar evaluate world`: what a generator does in a small world whose future is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import Weights, only_with, parse, typed_as
from videoar.cluster.cli.commands.keeping import Keeping, check_keeping, open_kept, say_part
from videoar.cluster.cli.output import in_json, say, told_command
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits, OneOrMore, Scenes, Temperature, TopP
from videoar.cluster.ground.files import check_folder, filled_folder, first_stranger

if TYPE_CHECKING:
    from videoar.pretrain.evaluate.world.evaluate import WorldEvaluation
    from videoar.pretrain.evaluate.world.plan import WorldPlan

REPORT, CARD, PROMPTS, CONTINUED, FILM = "report.json", "card.md", "prompts.png", "continued.png", "continued.mp4"
WRITTEN = (REPORT, CARD, PROMPTS, CONTINUED, FILM)


@dataclass(frozen=True, kw_only=True)
class EvaluateWorld(Keeping):
    """Measure a generator on held-out scenes of the small world (source.kind=world), whose future is known.

    From sentences: how often colour, shape, size, direction, speed, number of objects and the camera are right, as
    image processing reads them from the videos, compared with chance. Two latent frames are continued to the length of
    training and to twice that: PSNR and position errors by frame, compared with a still picture and the tokenizer
    alone. Accuracy of bits by scale, compared with copying and with the majority. All figures have intervals of 95 %.

    Prints tables on a terminal, and otherwise one JSON line.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --keep 75 if a signal stopped it (run it again).
    """

    weights: Weights
    """Folder that `videoar export` wrote, of weights that were trained on captions; or `small-world`, which ships."""
    prompts: Annotated[Scenes, arg(metavar="N")] = 64
    """Number of sentences about one object, and of sentences about two."""
    clips: Annotated[Scenes, arg(metavar="N")] = 128
    """Number of clips that are continued."""
    seed: Annotated[int, Limits(0, 10**6 - 1)] = 0
    """Seed of the scenes, which no recipe trains on, and of the sampling."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 8
    """Number of videos that are made at once."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, one that the weights were trained on; the first with clips that are long enough if not
    given."""
    temperature: Temperature = 1.0
    """Divisor of the logits; 0 always takes the more likely value of a bit."""
    top_p: TopP = 1.0
    """A bit takes its more likely value if that has at least this probability; with 1, every bit is sampled."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Strength of guidance, written as for `videoar generate`; the default of the weights if not given."""
    json: bool = False
    """Print the JSON line on a terminal, too."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for report.json, card.md (a section for a model card), and some clips: prompts.png, continued.png and
    continued.mp4 (true, through the tokenizer, continued)."""
    force: bool = False
    """Replace the files of an earlier evaluation in the folder."""


def world(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateWorld, words, prog)
    only_with(options, "out", "force")
    check_keeping(options)
    if options.out is not None:
        _check_out(options.out, force=options.force)
    return _run(options, told_command(prog, words))


def _run(options: EvaluateWorld, command: str) -> int:
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.pretrain.evaluate.world.card import card
    from videoar.pretrain.evaluate.world.evaluate import WorldEvaluation, WorldWork, num_groups
    from videoar.pretrain.generate import VideoPipeline

    plan = plan_of(options)
    with typed_as(schedule="size"):
        pipeline = VideoPipeline.from_pretrained(options.weights)
        work = WorldWork(pipeline, plan)
    kept = open_kept(options, work.signature, num_groups(plan))
    with ProgressLine("evaluate world") as progress:
        rows = work.measured(kept, progress.counting_each("clips/s"))
    if options.part is not None:
        return say_part(options, sum(map(len, rows.values())), sum(len(task.scenes) for task in work.tasks()))
    report = work.report(rows)
    section = card(report, command)
    if options.out is not None:
        _write(options.out, WorldEvaluation(report, work.examples(), work.shape.fps), section)
    say(json.dumps(report) if in_json(options.json) else section)
    return 0


def plan_of(options: EvaluateWorld) -> WorldPlan:
    """What is measured, and how videos are sampled."""
    from videoar.pretrain.evaluate.world.plan import WorldPlan

    return WorldPlan(**{name: getattr(options, name) for name in WorldPlan.__dataclass_fields__})


def _check_out(folder: Path, *, force: bool) -> None:
    """InputError, before minutes are spent, for a folder that cannot be written, or holds anything else."""
    check_folder("out", folder)
    if (stranger := first_stranger(folder, WRITTEN)) is not None:
        raise InputError("out", folder, f"holds {stranger}, which no evaluation wrote", "name an empty or a new folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError("out", folder, "holds an evaluation", "name another folder, or add --force to replace it")


def _write(folder: Path, found: WorldEvaluation, section: str) -> None:
    """The report, the section of a model card, and pictures and a film of some clips."""
    from videoar.data_pipeline.encoding.pictures import contact_sheet, save_png
    from videoar.pretrain.evaluate.world.plan import GIVEN
    from videoar.pretrain.generate.panels import one_below_the_other, side_by_side
    from videoar.pretrain.generate.video import save_mp4

    with filled_folder(folder, WRITTEN, last=REPORT) as writing:
        (writing / REPORT).write_text(json.dumps(found.report) + "\n")
        (writing / CARD).write_text(section)
        save_png(contact_sheet([clip for _, clip in found.examples.prompts]), writing / PROMPTS)
        rows = found.examples.continued
        save_png(contact_sheet([clip for row in rows for clip in row]), writing / CONTINUED)
        films = [side_by_side(row, [len(row[0]), len(row[1]), GIVEN]) for row in rows]
        save_mp4(one_below_the_other(films), writing / FILM, found.fps)
