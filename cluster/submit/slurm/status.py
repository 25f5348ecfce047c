"""The status of a Slurm job. scontrol, squeue and sacct are asked in turn: each may be missing, or have forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.cluster.submit.engine import State, Status
from videoar.cluster.submit.programs import ask, is_there
from videoar.cluster.submit.record import Submitted

_STATES: dict[str, State] = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"), "queued"),
    **dict.fromkeys(("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING"), "running"),
    "COMPLETED": "done",
    "CANCELLED": "cancelled",
    **dict.fromkeys(
        ("FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "BOOT_FAIL", "DEADLINE"), "failed"
    ),
}
_WORST: tuple[State, ...] = ("running", "queued", "failed", "cancelled", "preempted", "done", "unknown")
"""The state of an array is the first of these that one of its jobs has."""

_OWN = "from the code that its script left"
_FIELD = re.compile(r"(?:^|\s)(\w+)=(\S*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a program reports about one job."""

    job: str
    word: str
    """Slurm's word for the state."""
    code: int | None = None
    detail: str = ""

    @property
    def state(self) -> State:
        state = _STATES.get(self.word.split()[0].rstrip("+") if self.word else "", "unknown")
        return "preempted" if state == "failed" and self.code == EXIT_PREEMPTED else state


def status_of(submitted: Submitted) -> Status:
    """The job's status from the first source that knows it; the codes that the scripts wrote are the last."""
    left = dict(_left_codes(submitted))
    for source in (_scontrol, _squeue, _sacct):
        if rows := list(source(submitted.job)):
            return together(_with_own_code(row, left) for row in rows)
    if not left:
        return Status(state="unknown", detail="Slurm does not know the job, and its script has not ended")
    ended = (Row(job=job, word="FAILED" if code else "COMPLETED", code=code, detail=_OWN) for job, code in left.items())
    return together(ended)


def _with_own_code(row: Row, left: Mapping[str, int]) -> Row:
    """A script returns 1 instead of a 75 that must not be queued again."""
    is_saved = row.state == "failed" and left.get(row.job) == EXIT_PREEMPTED
    return replace(row, code=EXIT_PREEMPTED) if is_saved else row


def together(rows: Iterable[Row]) -> Status:
    """One status of the jobs of an array, or of a single job."""
    rows = list(rows)
    states = {row.state for row in rows}
    state = next(state for state in _WORST if state in states)
    ended = [row.code for row in rows if row.code is not None]
    status = Status(state=state, detail=rows[0].detail if len(rows) == 1 else f"{len(rows)} jobs")
    code = max(ended) if ended and status.has_ended else None
    if state != "done" and code == 0:
        code = None  # Slurm notes 0 for what was cancelled, or ran out of time
    tasks = {row.job: row.state for row in rows} if len(rows) > 1 else {}
    return Status(state=state, detail=status.detail, exit_code=code, tasks=tasks)


def _scontrol(job: str) -> Iterator[Row]:
    for line in _lines("scontrol", "show", "job", "--oneliner", job):
        facts = dict(_FIELD.findall(line))
        if "JobId" not in facts:
            continue
        number = f"{facts['ArrayJobId']}_{facts['ArrayTaskId']}" if "ArrayTaskId" in facts else facts["JobId"]
        shown = [
            facts["JobState"],
            *([f"on {facts['NodeList']}"] if facts.get("NodeList", "(null)") not in ("", "(null)") else []),
            *([f"reason {facts['Reason']}"] if facts.get("Reason", "None") != "None" else []),
            *([_restarts(facts["Restarts"])] if facts.get("Restarts", "0") != "0" else []),
        ]
        yield Row(job=number, word=facts["JobState"], code=code_of(facts.get("ExitCode", "")), detail=", ".join(shown))


def _restarts(count: str) -> str:
    return "queued again once" if count == "1" else f"queued again {count} times"


def _squeue(job: str) -> Iterator[Row]:
    for line in _lines("squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%i|%T|%R"):
        number, word, reason = line.split("|", 2)
        yield Row(job=number, word=word, detail=f"{word} {reason}")


def _sacct(job: str) -> Iterator[Row]:
    fields = "--format=JobID,State,ExitCode"
    for line in _lines("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job}", fields):
        number, word, code = line.split("|")
        yield Row(job=number, word=word, code=code_of(code), detail=word)


def _lines(program: str, *words: str) -> list[str]:
    """The output of a program; empty if it is missing, fails, or does not know the job."""
    if not is_there(program):
        return []
    answer = ask(program, *words)
    return [line for line in answer.out.splitlines() if line.strip()] if answer.code == 0 else []


def code_of(text: str) -> int | None:
    """The exit code of Slurm's `code:signal`, as a shell has it."""
    code, _, number = text.partition(":")
    if not code.isdigit() or not number.isdigit():
        return None
    return int(code) or (128 + int(number) if int(number) else 0)


def _left_codes(submitted: Submitted) -> Iterator[tuple[str, int]]:
    """The codes that the scripts of the job wrote at their ends, by the job's number."""
    folder = Path(submitted.folder) / submitted.jobs
    for path in (*folder.glob(f"{submitted.job}.code"), *folder.glob(f"{submitted.job}_*.code")):
        with suppress(ValueError):
            yield path.stem, int(path.read_text(encoding="utf-8"))
