"""Whether the run makes progress, and what it could resume from."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.processes.health import read_standings, to_blame
from videoar.pretrain.checkpoint.format import Checkpoint, CorruptCheckpoint, saved_steps, step_name
from videoar.pretrain.diagnose.evidence import Evidence, mean_of
from videoar.pretrain.run_folder import HEALTH, METRICS
from videoar.pretrain.start.run_checks import has_saved

GIB = 1 << 30
QUIET_S = 900.0
"""Seconds without a step after which a run that has not ended counts as stopped or hung."""


def progress(evidence: Evidence) -> Iterator[Finding]:
    """Whether the run has ended, trains, has stopped or hangs; a trainer holds the run's lock while it runs."""
    last, total = evidence.records[-1]["step"] + 1, evidence.recipe.num_steps
    quiet = time.time() - (evidence.run / METRICS).stat().st_mtime
    found = f"{last} of {total} steps, the last {_ago(quiet)} ago"
    figures = {"steps": last, "of": total, "quiet_s": quiet}
    patience = max(QUIET_S, 20 * (mean_of(evidence.recent, "step_s") or 0.0))
    if _is_held(evidence.run / ".lock"):
        hung = quiet > patience
        yield Finding(
            name="progress",
            state="fail" if hung else "ok",
            figures=figures,
            found=f"{found}; a trainer is running" + (f" but finishes no step{_culprits(evidence)}" if hung else ""),
            remedy="inspect the stacks of the processes (py-spy dump), end them, and start the same command again"
            if hung
            else "",
        )
    elif not _is_over(evidence) and quiet > patience:
        yield Finding(
            name="progress",
            state="warn",
            found=f"{found}; no trainer is running on this machine",
            figures=figures,
            remedy="start the same command again: it resumes from the newest checkpoint",
        )
    else:
        yield Finding(name="progress", state="ok", found=found, figures=figures)


def lines(evidence: Evidence) -> Iterator[Finding]:
    """Lines of metrics.jsonl that are not records of steps; yields nothing if there are none."""
    if evidence.left_out:
        found = f"{evidence.left_out} of {METRICS} are not records of steps, and are left out"
        remedy = "check the disk, and what else writes into the run's folder"
        yield Finding(name="lines", state="warn", found=found, remedy=remedy)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def events(evidence: Evidence) -> Iterator[Finding]:
    """Failed saves and samplings, and how often the run was started."""
    counts = Counter(event["event"] for event in evidence.events)
    found = ", ".join(f"{name.replace('_', ' ')} {_times(count)}" for name, count in counts.items()) or "none"
    failed = [event for event in evidence.events if event["event"] in ("save_failed", "sampling_failed")]
    if failed:
        why = failed[-1].get("error") or failed[-1].get("reason") or "no reason recorded"
        yield Finding(
            name="events",
            state="warn",
            found=f"{found}; the last failure: {why}",
            figures=dict(counts),
            remedy="free some space and check the storage: a fault would restart a run without checkpoints from step 0",
        )
    else:
        yield Finding(name="events", state="ok", found=found, figures=dict(counts))


def checkpoints(evidence: Evidence, *, everything: bool) -> Iterator[Finding]:
    """Verify the checkpoint that the run would resume from; with `everything` the older ones too."""
    steps, damaged = saved_steps(evidence.root), dict(evidence.damaged)
    if not steps:
        due = evidence.records[-1]["step"] + 1 >= evidence.recipe.log.save_every
        gone = has_saved(evidence.run)
        yield Finding(
            name="checkpoints",
            state="fail" if due or gone else "skip",
            found=f"{'no longer any' if gone else 'none'} in {evidence.root.url}",
            remedy="restore them: the run cannot resume" if gone else "see the failed saves in events.jsonl" * due,
        )
        return
    for step in steps[:-1] if everything else ():
        try:
            Checkpoint(evidence.root.child(step_name(step))).verify()
        except CorruptCheckpoint as error:
            damaged[step] = str(error)
    found = f"steps {', '.join(map(str, steps[-6:]))}; {'all are' if everything else 'the newest is'} undamaged"
    if damaged:
        whole = [step for step in steps if step not in damaged]
        yield Finding(
            name="checkpoints",
            state="fail" if steps[-1] in damaged or not whole else "warn",
            found="; ".join(f"step {step}: {error}" for step, error in damaged.items()),
            figures={"damaged": damaged},
            remedy=f"the run will resume from step {whole[-1]}; check the disk"
            if whole
            else "restore a checkpoint from a copy",
        )
    else:
        yield Finding(name="checkpoints", state="ok", found=found, figures={"steps": steps})


def disk(evidence: Evidence) -> Iterator[Finding]:
    """Free space for the next checkpoints, if they are on a disk."""
    if not evidence.root.is_local:
        yield Finding(name="disk", state="skip", found=f"checkpoints are in {evidence.root.url}")
        return
    folder = Path(evidence.root.path(""))
    there = folder if folder.exists() else evidence.run
    free = shutil.disk_usage(there).free
    size = max((_size(one) for one in folder.glob("step-*")), default=0)
    state = "fail" if free < 1.2 * size else "warn" if free < max(3 * size, GIB) else "ok"
    yield Finding(
        name="disk",
        state=state,  # type: ignore[arg-type]
        found=f"{free / GIB:.1f} GiB free, a checkpoint takes {size / GIB:.2f} GiB",
        remedy="" if state == "ok" else "free some space, lower log.keep_last, or set log.checkpoints to other storage",
        figures={"free_bytes": free, "checkpoint_bytes": size},
    )


def moving_average(evidence: Evidence) -> Iterator[Finding]:
    """Whether the averaged weights follow the trained ones."""
    saved = evidence.saved
    if saved is None or not saved.has("ema"):
        yield Finding(name="EMA", state="skip", found="no checkpoint holds a moving average")
        return
    trained, average = saved.read("head.out.weight"), saved.read("head.out.weight", "ema")
    away = float((average - trained).norm() / trained.norm().clamp(min=1e-12))
    updates = int(saved.meta["updates"])
    figures = {"relative_distance": away, "updates": updates}
    found = f"{away:.2%} from the trained head after {updates} updates"
    if away == 0 and updates > 1:
        yield Finding(
            name="EMA",
            state="warn",
            found=f"{found}: the weights do not move",
            figures=figures,
            remedy="see the lines `learning rate` and `skipped steps`",
        )
    elif away > 0.5:
        yield Finding(
            name="EMA",
            state="warn",
            found=f"{found}: it lags far behind",
            figures=figures,
            remedy="lower optimizer.ema_decay (its memory is 1 / (1 - decay) updates), or export without --ema",
        )
    else:
        yield Finding(name="EMA", state="ok", found=found, figures=figures)


def _culprits(evidence: Evidence) -> str:
    """The processes that delay the others, by the last report of each."""
    standings = read_standings(evidence.run / HEALTH, len(list((evidence.run / HEALTH).glob("*.json"))))
    now = time.time()
    return "".join(f": {one.describe(now)}" for one in to_blame(standings, now, silence_s=60.0)[:3])


def _is_over(evidence: Evidence) -> bool:
    """Whether the last stage has ended, by its steps or by a plateau."""
    ended = {str(event.get("stage")) for event in evidence.events if event["event"] == "stage_ended"}
    return evidence.records[-1]["step"] + 1 >= evidence.recipe.num_steps or evidence.recipe.stages[-1].name in ended


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def _is_held(lock: Path) -> bool:
    """Whether a running process of this machine holds the lock."""
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
