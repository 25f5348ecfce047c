"""Checks the options of an evaluation, and the files that it reads, before it is submitted as a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoar.cluster.cli.arguments import only_with, typed_as
from videoar.cluster.cli.commands.evaluate.bits import EvaluateBits
from videoar.cluster.cli.commands.evaluate.class_samples import ClassSamples, class_videos_of
from videoar.cluster.cli.commands.evaluate.drift import EvaluateDrift
from videoar.cluster.cli.commands.evaluate.fvd import EvaluateFvd, protocol_of
from videoar.cluster.cli.commands.evaluate.held_out import OnHeldOut
from videoar.cluster.cli.commands.evaluate.recovery import EvaluateRecovery, check_ratios
from videoar.cluster.cli.commands.evaluate.vbench_export import VbenchExport, refuse_labels, wanted_of
from videoar.cluster.cli.commands.evaluate.world import EvaluateWorld, plan_of
from videoar.cluster.cli.commands.keeping import Keeping, check_keeping
from videoar.cluster.cli.commands.tokenizer.evaluate import EvaluateTokenizer
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.finding import Finding

if TYPE_CHECKING:
    from videoar.pretrain.model.pretrained import ExportConfig

_FILES = (
    "weights",
    "prompts",
    "images",
    "clips",
    "real",
    "generated",
    "detector",
    "captions",
    "results",
    "reference",
    "lpips",
)
"""Options that name a file or folder which is read."""


def check_options(options: Any, array: int | None) -> None:
    """InputError for options that contradict each other, or that do not let jobs of an array share; opens no file."""
    if (part := getattr(options, "part", None)) is not None:
        from videoar.data_pipeline.preparing.part import Part

        Part.of(part)
    if isinstance(options, EvaluateFvd):
        only_with(options, "features", "part")
        protocol_of(options)
        if array is not None and options.features is None:
            raise InputError("array", array, "needs a folder that keeps the features", "add --features FOLDER")
    if isinstance(options, Keeping):
        check_keeping(options, array)
    if isinstance(options, EvaluateWorld):
        only_with(options, "out", "force")
    if isinstance(options, EvaluateRecovery):
        check_ratios(options)


def check_files(options: Any, array: int | None, *, is_here: bool) -> Finding:
    """One line about the files that the evaluation reads. InputError for a missing file if the job sees the file
    systems of this machine (`is_here`), and for weights that do not fit the evaluation.
    """
    missing = [(field, path) for field, path in _files(options) if not path.exists()]
    if missing:
        field, path = missing[0]
        if is_here:
            raise InputError(field, path, "does not exist", "give a path that the machines of the job see, too")
        return Finding(name="files", state="skip", found=f"{path} is not on this machine, and was not checked")
    found = "all files that are read exist"
    if hasattr(options, "weights") and not isinstance(options, EvaluateTokenizer):
        found += _of_weights(options, array)
    return Finding(name="files", state="ok", found=found)


def _of_weights(options: Any, array: int | None) -> str:
    """How many units of work there are. InputError for weights of the wrong kind, and for more jobs than units."""
    from videoar.pretrain.model.pretrained import find_export, read_config

    config = read_config(find_export(options.weights))
    with typed_as(schedule="size"):
        config.shape(options.size)
    found = _to_share(options, config)
    if found is None:
        return ""
    count, what = found
    if array is not None and array > count:
        raise InputError("array", array, f"is more than the {count} {what}", "use fewer jobs")
    return f"; {count} {what}" + (f" in {array} parts" if array else "")


def _files(options: Any) -> Iterator[tuple[str, Path]]:
    """The files that options name. Shipped weights, presets, `rf-fvd` and URLs are not files of the user."""
    from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures
    from videoar.pretrain.model.pretrained import shipped_exports
    from videoar.tokenizer.files import shipped_names
    from videoar.tokenizer.presets import PRESETS

    known = (*shipped_names(), *PRESETS) if isinstance(options, EvaluateTokenizer) else shipped_exports()
    others = (None, "", RandomFeatures.name, *known)
    for field in _FILES:
        given = getattr(options, field, None)
        for path in given if isinstance(given, tuple) else (given,):
            if isinstance(path, str | Path) and str(path) not in others and "://" not in str(path):
                yield field, Path(path)


def _to_share(options: Any, config: ExportConfig) -> tuple[int, str] | None:
    """Number and name of the units that parts share: videos, or groups of clips. InputError for weights of the other
    kind of text, and for wrong prompts."""
    if isinstance(options, ClassSamples):
        return len(class_videos_of(options, config)), "videos"
    if isinstance(options, VbenchExport):
        refuse_labels(config)
        return len(wanted_of(options)), "videos"
    if isinstance(options, Keeping) and options.keep is not None:
        return _groups_at_most(options), "groups of clips"
    return None


def _groups_at_most(options: Keeping) -> int:
    """The number of groups if there are enough clips."""
    from videoar.pretrain.evaluate.robustness.clips import GROUP
    from videoar.pretrain.evaluate.world.evaluate import num_groups

    if isinstance(options, EvaluateWorld):
        return num_groups(plan_of(options))
    assert isinstance(options, OnHeldOut)
    kinds = 2 if isinstance(options, EvaluateBits) and options.reference is not None else 1
    return kinds * -(-options.max_clips // (options.batch if isinstance(options, EvaluateDrift) else GROUP))
