"""A folder of videos that a generator is judged by: made part by part, in any order, by any number of processes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.preparing.part import Part
from videoar.pretrain.evaluate.claim import claim
from videoar.pretrain.evaluate.continuation import Generator
from videoar.pretrain.generate import Request


@runtime_checkable
class Wanted(Protocol):
    """One video of the folder."""

    @property
    def name(self) -> str:
        """The file's name."""
        ...

    def request(self, sampled: Request) -> Request:
        """The request for the video; `sampled` has the sampling options and the seed of the folder."""
        ...


SomeVideo = TypeVar("SomeVideo", bound=Wanted)


def seed_of(*parts: str | int) -> int:
    """A seed that depends on `parts` alone, so that parts of the work and interruptions do not change a video."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def in_part(everything: Sequence[SomeVideo], part: str | None) -> list[SomeVideo]:
    """The videos of a part such as 1/8; all without one. InputError if there are none."""
    chosen = Part() if part is None else Part.of(part)
    wanted = [video for number, video in enumerate(everything) if chosen.has(number)]
    if not wanted:
        raise InputError("part", part, f"has none of the {len(everything)} videos", "use fewer parts")
    return wanted


def list_signature(everything: Sequence[Wanted]) -> str:
    """Signature of all videos: their number, and a hash of their names and of the pictures that they animate."""
    pictures: dict[Path, str] = {}
    digest = hashlib.sha256()
    for video in sorted(everything, key=lambda video: video.name):
        image = video.request(Request()).image
        if isinstance(image, Path) and image not in pictures:
            pictures[image] = hashlib.sha256(image.read_bytes()).hexdigest()
        digest.update(json.dumps([video.name, pictures[image] if isinstance(image, Path) else None]).encode())
    return f"videos{len(everything)}:{digest.hexdigest()[:12]}"


def claim_folder(out: Path, everything: Sequence[Wanted], sign: Callable[[Sequence[Wanted]], str]) -> None:
    """Make the folder, and OUT.json with the signature of its videos next to it: judging tools read all files inside.

    A folder of the first videos of the list is completed: more of each class, or prompts that were added at the end.
    InputError if it has videos of other weights, prompts or sampling, or more videos.
    """
    claim(out, sign(everything), completes=lambda before: before == sign(everything[: _count(before)]))


def make_videos(
    generator: Generator, wanted: Sequence[Wanted], out: Path, sampled: Request, batch: int
) -> Iterator[int]:
    """Make the videos that the folder lacks; yields how many of the wanted ones are there."""
    missing = [video for video in wanted if not _is_made(out / video.name)]
    done = len(wanted) - len(missing)
    yield done
    for start in range(0, len(missing), batch):
        part = missing[start : start + batch]
        requests = [video.request(sampled) for video in part]
        for video, made in zip(part, generator.batch(requests), strict=True):
            made.save(out / video.name)
        done += len(part)
        yield done


def _is_made(video: Path) -> bool:
    """Whether a video exists. An empty file, which a power cut may leave, does not count."""
    return video.is_file() and video.stat().st_size > 0


def _count(signature: str) -> int:
    """The number of videos in a signature by `list_signature`."""
    found = re.search(r"\bvideos(\d+):", signature)
    return int(found[1]) if found else 0
