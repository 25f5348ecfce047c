"""What a folder of clips holds: sizes, frame rates, lengths and captions, from the headers of some of its files."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import is_utf8
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, Probe, VideoDecoder, reason_of
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import Source, local_copy

MOST_PROBED = 64
"""Files that are opened: headers of a few dozen show what a folder holds, and opening thousands takes minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clips:
    """A folder of clips: the facts that were read from some of its files."""

    path: str
    """The folder, as it was given."""
    num_files: int
    """Videos and images."""
    probes: tuple[Probe, ...]
    """Headers of the files that were opened, evenly spread over the folder."""
    captions: tuple[str, ...]
    """Captions of all files that have one."""
    problems: tuple[str, ...]
    """What could not be opened, each with the reason."""

    @property
    def videos(self) -> tuple[Probe, ...]:
        """The films among the files that were opened, which can be cut."""
        return tuple(probe for probe in self.probes if not probe.is_image and probe.fps > 0 and probe.duration_s > 0)

    @property
    def has_images(self) -> bool:
        return any(probe.is_image for probe in self.probes)

    @property
    def total_s(self) -> float:
        """Seconds of all films, from the mean of those that were opened."""
        seconds = sum(probe.duration_s for probe in self.videos)
        return seconds * self.num_files / len(self.probes)

    @property
    def aspect(self) -> float:
        """Width over height of the median file."""
        return statistics.median(probe.width / probe.height for probe in self.probes)


def look_at(path: str) -> Clips:
    """List a folder, and read the headers of some of its files. InputError if nothing in it can be used."""
    if not is_utf8(path):
        raise InputError("CLIPS", ascii(path), "is not UTF-8, which recipes need", "rename the folder")
    config = SourceConfig(path=path)
    sources, left_out = list_sources(config)
    sources = list({source.path: source for source in sources}.values())
    problems = [f"{item.source}: {item.reason}" for item in left_out]
    opened = [sources[i * len(sources) // MOST_PROBED] for i in range(MOST_PROBED)]
    probes = _probes(config, opened if len(sources) > MOST_PROBED else sources, problems)
    if not probes:
        problem = f"holds no file that can be opened ({problems[0] if problems else 'it is empty'})"
        raise InputError("CLIPS", path, problem, "give a folder of videos or images")
    return Clips(
        path=path,
        num_files=len(sources),
        probes=tuple(probes),
        captions=tuple(source.caption for source in sources if source.caption),
        problems=tuple(problems),
    )


def _probes(config: SourceConfig, sources: list[Source], problems: list[str]) -> list[Probe]:
    """The headers of these files; why a file has none is added to `problems`."""
    limits, found = DecodeLimits(), []
    with VideoDecoder(limits) as decoder:
        for source in sources:
            path = ""
            try:
                with local_copy(config, source, limits.max_bytes) as path:
                    found.append(decoder.probe(path))
            except DecodeError as error:
                problems.append(f"{source.name}: cannot be opened: {reason_of(error, path)}")
    return found


def described(clips: Clips) -> str:
    """The folder in a sentence: sizes, frame rates, lengths, captions."""
    sizes = _commonest([f"{probe.width}x{probe.height}" for probe in clips.probes])
    parts = [f"{clips.num_files} files", sizes]
    if clips.videos:
        rates = _commonest([f"{probe.fps:.4g}" for probe in clips.videos])
        lengths = sorted(probe.duration_s for probe in clips.videos)
        parts += [f"{rates} frames/s", f"{lengths[0]:.3g} to {lengths[-1]:.3g} s long, {clips.total_s:,.0f} s in all"]
    return f"{'; '.join(parts)}; {len(clips.captions)} of {clips.num_files} have a caption"


def _commonest(values: list[str], shown: int = 3) -> str:
    """The commonest values, as `320x240 (18), 640x480 (2)`; a single one without its count."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    more = [f"{len(counts) - shown} more"] if len(counts) > shown else []
    return ", ".join([f"{value} ({count})" for value, count in counts[:shown]] + more)


def name_of(path: str) -> str:
    """A recipe's name from a file or folder, in letters, digits and hyphens."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in Path(path).stem).split()
    return "-".join(words) or "mine"
