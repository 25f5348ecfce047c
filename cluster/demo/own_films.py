"""The user's videos as the films of a demo: at most a few, however large their folder is."""

from __future__ import annotations

import json
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import write_atomically
from videoar.configs.demo import HELD_CLIPS, Films
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import VIDEO_SUFFIXES, Source, suffix

MOST = HELD_CLIPS
"""Most videos of a demo: with more, even one held-out clip of each would take too long for a demo."""

TABLE = "films.jsonl"
"""In the demo's folder: which videos of a large folder it uses, with their captions."""


def own_films(folder: Path, out: Path) -> Films:
    """The videos below a folder, or `MOST` of them, evenly spread, if there are more; InputError if there are none."""
    videos = _videos(folder)
    if not videos:
        raise InputError(
            "clips", folder, "holds no video", "give a folder of videos, with captions next to them as .txt files"
        )
    captions = str((out / TABLE).resolve()) if len(videos) > MOST else ""
    return Films(path=str(folder.resolve()), count=min(len(videos), MOST), captions=captions)


def choose_films(films: Films) -> str:
    """Record which videos are used, unless an earlier call has. A line about it, empty if all videos are used."""
    if not films.captions:
        return ""
    table, videos = Path(films.captions), _videos(Path(films.path))
    if not table.exists():
        chosen = [videos[place * len(videos) // films.count] for place in range(films.count)]
        rows = [json.dumps({"path": video.path, "caption": video.caption}) for video in chosen]
        write_atomically(table, "".join(f"{row}\n" for row in rows))
    return f"{films.count} of {len(videos)} videos are used: {table}"


def _videos(folder: Path) -> list[Source]:
    """The videos below a folder, ordered by name."""
    sources, _ = list_sources(SourceConfig(path=str(folder)))
    return sorted((item for item in sources if suffix(item.path) in VIDEO_SUFFIXES), key=lambda item: item.path)
