"""`videoar export`: convert a training checkpoint into weights for generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from videoar.cluster.cli.arguments import OutFolder, RunFolder, parse
from videoar.cluster.cli.output import say, told_command, warn, warn_next
from videoar.cluster.ground.fields.limits import ZeroOrMore

_PROMPT = "a caption like those in training"
"""In the line about what to type next."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Convert a training checkpoint into a folder of weights for generation.

    OUT gets config.json, safetensors, tokenizer/ and a model card; `VideoPipeline.from_pretrained(OUT)` opens it.
    """

    run: RunFolder
    """Folder that `videoar train` wrote."""
    out: OutFolder
    """Folder to write: a new or an empty one, or that of an earlier export, whose files are replaced."""
    step: Annotated[ZeroOrMore | None, arg(metavar="N")] = None
    """Step of the checkpoint to export; the newest complete one if not given."""
    which: Literal["average", "trained"] | None = None
    """The moving average of the weights, or the trained weights themselves. If not given: the average if the run keeps
    one; the samples of the run are made with the same weights."""
    dtype: Literal["float32", "bf16"] = "float32"
    """Type of the stored weights. bf16 halves the files and is what a GPU computes with; a CPU computes in float32."""
    guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Default guidance of the weights, where measuring showed a better one than the recipe's: `t2v`, `ucf101`, a
    constant such as 3, or four corners such as 5,4,4,3."""
    continued_guidance: Annotated[str | None, arg(metavar="RAMP")] = None
    """Default guidance for continuing a clip, whose frames already show what the text says; the recipe's if not
    given."""
    license: Annotated[str, arg(metavar="ID")] = ""
    """Licence of the weights, which the model card names, as the Hugging Face Hub writes it: apache-2.0, mit,
    cc-by-nc-4.0, ... If not given, the card names none."""


def export(words: Sequence[str], prog: str) -> int:
    options = parse(Export, words, prog)
    from videoar.pretrain.export.convert import export as write_export
    from videoar.pretrain.model.pretrained import TOKENIZER, read_config
    from videoar.tokenizer.files import untrained_warning, was_trained

    out = write_export(
        options.run,
        options.out,
        options.step,
        which=options.which,
        dtype=options.dtype,
        guidance=options.guidance,
        continued_guidance=options.continued_guidance,
        license=options.license,
        command=told_command(prog, words),
    )
    warn(untrained_warning(is_trained=was_trained(out / TOKENIZER)))
    say(str(out))
    wanted = ("--prompt", _PROMPT) if read_config(out).model.text.kind != "label" else ("--label", "0")
    warn_next("generate", str(out), *wanted, "--out", f"{out.resolve().name}.mp4")
    return 0
