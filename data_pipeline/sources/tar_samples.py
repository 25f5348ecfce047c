"""Which captions and labels of a WebDataset tar belong to which of its media.

The members of a sample share their name up to the first dot. Names that contain further dots (`walk_0.5s_001.mp4`) may
share that part by accident; then a text belongs to the medium whose whole name its own name begins with.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from videoar.data_pipeline.sources.captions import WITHOUT_CLIP, caption_of, decoded, json_object, label_of, same_name
from videoar.data_pipeline.sources.source import Skipped, SkippedKind, Source, suffix

TEXT_SUFFIXES = frozenset({"txt", "json", "cls"})


@dataclass(frozen=True, slots=True)
class TarText:
    """The content of a text member."""

    name: str
    caption: str = ""
    label: int | None = None
    problem: str = ""
    """Why it cannot be read; completes the sentence "the member ..."."""


@dataclass(slots=True)
class TarSample:
    """The media and texts of one key, in the order of the tar."""

    media: list[Source] = field(default_factory=list)
    texts: list[TarText] = field(default_factory=list)

    def sources(self, tar: str) -> Iterator[Source | Skipped]:
        """Each medium with its own caption and label; a text that cannot be read leaves out what it belongs to."""
        owners = [self._owner(text) for text in self.texts]
        shared = [
            text
            for text, owner in zip(self.texts, owners, strict=True)
            if owner is None and (not any(owners) or _stem(text.name) == sample_key(text.name))
        ]
        for source in self.media:
            own = [text for text, owner in zip(self.texts, owners, strict=True) if owner == source.member]
            yield _described(source, [*shared, *own])
        for text, owner in zip(self.texts, owners, strict=True):
            if owner is None and not (self.media and text in shared):
                reason = f"the member {text.problem}" if text.problem else WITHOUT_CLIP
                kind: SkippedKind = "refused" if text.problem else "filtered"
                yield Skipped(source=f"{tar}!{text.name}", reason=reason, kind=kind, seconds=0.0)

    def _owner(self, text: TarText) -> str | None:
        """The medium with the longest name that the name of the text begins with."""
        name = same_name(text.name)
        fitting = [source.member for source in self.media if name.startswith(f"{_stem(source.member)}.")]
        return max(fitting, key=len, default=None)


def _described(source: Source, texts: list[TarText]) -> Source | Skipped:
    caption, label = "", None
    for text in texts:
        if text.problem:
            reason = f"its .{suffix(text.name)} {text.problem}"
            return Skipped(source=source.name, reason=reason, kind="unreadable")
        caption, label = text.caption or caption, label if text.label is None else text.label
    return replace(source, caption=caption, label=label)


def read_text(name: str, raw: bytes) -> TarText:
    """A text member: a caption (`txt`), a class number (`cls`), or an object with `caption` and `label` (`json`)."""
    try:
        text, kind = decoded(raw).strip(), suffix(name)
        if kind == "txt":
            return TarText(name, caption=text)
        if kind == "cls":
            return TarText(name, label=label_of(text))
        facts = json_object(text)
        return TarText(name, caption_of(facts.get("caption")), label_of(facts.get("label")))
    except (ValueError, OverflowError) as error:
        return TarText(name, problem=f"cannot be used: {error}")


def sample_key(name: str) -> str:
    """WebDataset's key: the name up to the first dot after the last slash."""
    folder, _, last = same_name(name).rpartition("/")
    return posixpath.join(folder, last.split(".")[0])


def _stem(name: str) -> str:
    """The name without its last suffix."""
    return posixpath.splitext(same_name(name))[0]
