"""Files of prompts: a video for each line, numbered, and made once.

prompts.txt     one caption a line; empty lines do not count
prompts.jsonl   one object a line: {"prompt": "a boat", "seed": 7, "num_frames": 17}

OUT/0000.mp4    the video of the first prompt
OUT/0000.json   what it was made from; a video whose line has changed since is refused, not kept
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields
from videoar.cluster.ground.fields.limits import DrawingSeed, PixelFrames, Temperature, TopP, ZeroOrMore
from videoar.cluster.ground.fields.serialize import from_dict
from videoar.cluster.ground.files import write_atomically
from videoar.pretrain.generate.request import LongVideo, Request, batch_key
from videoar.pretrain.generate.writers import ENDS, Kind, remove

LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptLine:
    """Fields that a line of a prompt file may have; a missing field has the common value of all lines."""

    prompt: str | None = None
    negative_prompt: str | None = None
    label: ZeroOrMore | None = None
    image: str | None = None
    """Picture; a relative path starts at the prompt file's folder."""
    video: str | None = None
    """Clip to continue; a relative path starts at the prompt file's folder."""
    given_frames: PixelFrames | None = None
    num_frames: PixelFrames | None = None
    long: LongVideo | None = None
    overlap: PixelFrames | None = None
    size: str | None = None
    guidance: str | float | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: DrawingSeed | None = None
    """None: the common seed plus the number of the prompt, from 0."""

    def __post_init__(self) -> None:
        check_fields(self, "")


@dataclass(frozen=True, slots=True)
class Job:
    """A video to make."""

    request: Request
    out: Path
    line: int | None = None
    """The line of the file of prompts that asks for it, from 1."""


def read_prompts(path: Path, common: Mapping[str, Any]) -> dict[int, Request]:
    """The request of each line of a file, by its number; `common` has the fields that a line does not give."""
    requests = {}
    for prompt, (number, line) in enumerate(lines_of(read_text(path)).items()):
        with in_line(number):
            given = _given(line, path)
            seed = {"seed": common.get("seed", 0) + prompt}
            requests[number] = Request(**{**common, **seed, **given})
    if not requests:
        raise InputError("prompts", path, "holds no prompt", "write one on each line")
    return requests


def read_text(path: Path) -> str:
    """The text of a prompt file, without the byte order mark that some editors write."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("prompts", path, "is not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        raise InputError("prompts", path, f"cannot be read ({error.strerror})", "give a file of prompts") from error


def lines_of(text: str) -> dict[int, str]:
    """Lines that are not empty, by number, from 1. Only \\n ends a line: JSON may contain other line separators."""
    return {number: line.strip() for number, line in enumerate(text.split("\n"), start=1) if line.strip()}


def _given(line: str, path: Path) -> dict[str, Any]:
    """The fields of a request that a line gives."""
    if path.suffix.lower() not in LINES:
        return {"prompt": line}
    try:
        mapping = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError("line", line[:40], "is not JSON", 'write an object such as {"prompt": "a boat"}') from error
    if not isinstance(mapping, dict):
        raise InputError("line", line[:40], "is not an object", 'write one such as {"prompt": "a boat"}')
    parsed = from_dict(PromptLine, mapping)
    given = {field.name: getattr(parsed, field.name) for field in fields(parsed)}
    for name in ("image", "video"):
        given[name] = path.parent / given[name] if given[name] is not None else None
    given["schedule"] = given.pop("size")
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def in_line(number: int) -> Iterator[None]:
    """Errors name the line of the file."""
    try:
        yield
    except InputError as error:
        field = "size" if error.field == "schedule" else error.field
        raise InputError(f"prompts (line {number}): {field}", error.value, error.problem, error.remedy) from error


def jobs(
    requests: Mapping[int, Request], folder: Path, kind: Kind, weights: Mapping[str, object], *, force: bool
) -> tuple[list[Job], int]:
    """The missing videos (with `force` all videos), and the number of existing ones; `requests` are by line.

    InputError for an existing video that was made from another line, or with other weights.
    """
    wanted, done = [], 0
    for number, (line, request) in enumerate(requests.items()):
        job = Job(request, folder / f"{number:04d}{ENDS[kind]}", line)
        if force or not job.out.exists():
            wanted.append(job)
        elif _recorded(job) == json.loads(json.dumps(described(request, weights))):
            done += 1
        else:
            problem = "was made from another prompt, with other options or by other weights"
            raise InputError("out", job.out, problem, "name another folder, or add --force to replace all")
    return wanted, done


def described(request: Request, weights: Mapping[str, object]) -> dict[str, object]:
    """Everything that a video was made from, as plain values."""
    given = {field.name: getattr(request, field.name) for field in fields(request)}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    return {**{name: value for name, value in plain.items() if value is not None}, "weights": dict(weights)}


def record(job: Job, weights: Mapping[str, object]) -> None:
    """Record what a video is made from, before it appears; an earlier video is removed first, so that it is not
    taken for the new one."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    remove(job.out)
    write_atomically(_record_of(job), json.dumps(described(job.request, weights)) + "\n")


def _record_of(job: Job) -> Path:
    return job.out.with_suffix(".json")


def _recorded(job: Job) -> object:
    try:
        return json.loads(_record_of(job).read_text())
    except (OSError, ValueError):
        return None


def batches(wanted: Sequence[Job], size: int) -> Iterator[list[Job]]:
    """Consecutive videos that can be made together, at most `size`; one that continues a clip is made alone."""

    def kind(numbered: tuple[int, Job]) -> object:
        number, request = numbered[0], numbered[1].request
        return batch_key(request), request.image is not None, number if request.video is not None else None

    for _, group in itertools.groupby(enumerate(wanted), kind):
        alike = [job for _, job in group]
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
