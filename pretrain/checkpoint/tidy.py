"""Removes what checkpoints no longer need, and nothing that a saver has not written."""

from __future__ import annotations

from videoar.data_pipeline.storage.local import UNFINISHED_NAME
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import FILE_NAME, MANIFEST, STEP_FOLDER, read_manifest, saved_steps, step_name


def tidy(root: Storage, step: int, *, keep_last: int, keep_every: int = 0) -> None:
    """After the commit of a step: remove what earlier, killed saves left, and the checkpoints not kept.

    Later steps are left alone and do not count: a run that skipped damaged ones must not lose the one that it has just
    written in favour of them.
    """
    steps = [saved for saved in saved_steps(root) if saved <= step]
    kept = {*steps[-max(keep_last, 1) :], *(saved for saved in steps if keep_every and saved % keep_every == 0)}
    for old in sorted(set(steps) - kept):
        root.remove(f"{step_name(old)}/{MANIFEST}")  # first: without its manifest it is not a checkpoint
        _remove_own(root, step_name(old))
    begun = {int(match[1]) for key in root.keys("") if (match := STEP_FOLDER.match(key))}
    for unfinished in sorted(other for other in begun - set(steps) if other < step):
        _remove_own(root, step_name(unfinished))
    folder = root.child(step_name(step))
    for stray in set(folder.keys("")) - {MANIFEST, *read_manifest(folder)["files"]}:
        if _is_own(stray):
            folder.remove(stray)


def _remove_own(root: Storage, folder: str) -> None:
    root.remove_keys([key for key in root.keys(folder) if _is_own(key.removeprefix(f"{folder}/"))])


def _is_own(name: str) -> bool:
    """Whether a saver writes files of this name, finished or not; other files in the folder are not ours."""
    finished = UNFINISHED_NAME.sub("", name)
    return finished == MANIFEST or bool(FILE_NAME.fullmatch(finished))
