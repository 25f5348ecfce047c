"""UCF-101 (Soomro et al. 2012, arXiv:1212.0402) as it is distributed: folders of classes and three official splits."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.source import Skipped, Source, etag, refusal
from videoar.data_pipeline.storage.objects import Storage

LAYOUT = "UCF-101/CLASS/v_CLASS_gNN_cNN.avi and ucfTrainTestlist/{classInd,trainlist01,testlist01,...}.txt"

_VIDEOS, _LISTS = "UCF-101", "ucfTrainTestlist"
_WORDS = re.compile(r"[A-Z][a-z]+|[A-Z]+(?![a-z])|\d+")


def ucf101_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    """The clips of one part of a split, in the order of its file. Labels start at 0; captions are the class's words.

    InputError if the folder does not look like UCF-101.
    """
    storage = Storage.open(config.path)
    labels = _classes(storage, config)
    tags, reasons = _tags(storage, config)
    listed = _lines(storage, config, f"{config.subset}list{config.split:02d}.txt")
    if not any(f"{_VIDEOS}/{line.split()[0]}" in tags for line in listed):
        example = next((f"; {path} {reason}" for path, reason in reasons.items()), "")
        raise _wrong(config, f"holds none of the {len(listed)} videos of its split file{example}")
    for line in listed:
        name, *number = line.split()
        path, class_name = f"{_VIDEOS}/{name}", name.split("/")[0]
        if class_name not in labels:
            raise _wrong(config, f"names the class {class_name}, which is missing in classInd.txt")
        if number and number != [str(labels[class_name] + 1)]:
            numbers = f"{' '.join(number)}, but classInd.txt {labels[class_name] + 1}"
            raise _wrong(config, f"gives {name} the class {numbers}")
        if path in tags:
            yield Source(path=path, etag=tags[path], caption=class_words(class_name), label=labels[class_name])
        else:
            missing = "the split names it, but the folder does not hold it"
            reason = reasons.get(path) or reasons.get(posixpath.dirname(path))
            yield Skipped(source=path, reason=reason or missing, kind="refused" if reason else "unreadable")


def class_words(class_name: str) -> str:
    """A class as a caption: `ApplyEyeMakeup` -> `apply eye makeup`."""
    return " ".join(_WORDS.findall(class_name)).lower()


def _classes(storage: Storage, config: SourceConfig) -> dict[str, int]:
    """Label of each class, from 0, by its name."""
    labels: dict[str, int] = {}
    for line in _lines(storage, config, "classInd.txt"):
        number, _, name = line.partition(" ")
        if not number.isdecimal() or not name:
            raise _wrong(config, f"has a line {line!r} in classInd.txt, which is not `number class`")
        labels[name] = int(number) - 1
    if len(set(labels.values())) < len(labels) or min(labels.values(), default=0) < 0:
        raise _wrong(config, "gives two classes one number, or a class the number 0, in classInd.txt")
    return labels


def _lines(storage: Storage, config: SourceConfig, name: str) -> list[str]:
    """The lines of a file of the lists; empty lines are left out."""
    key = f"{_LISTS}/{name}"
    if not storage.exists(key):
        raise _wrong(config, f"holds no {key}")
    try:
        text = storage.read(key).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(config, f"holds a {key} that is not text") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _tags(storage: Storage, config: SourceConfig) -> tuple[dict[str, str], dict[str, str]]:
    """Etag of each video, and why other videos or folders are refused, both by path."""
    if not storage.is_folder(_VIDEOS):
        raise _wrong(config, f"holds no folder {_VIDEOS}")
    tags, reasons = {}, {}
    for path, info in storage.infos(_VIDEOS).items():
        if reason := refusal(storage, storage.path(path), info, config.follow_links):
            reasons[path] = reason
        else:
            tags[path] = etag(storage.info(path) if info.get("islink") else info)
    return tags, reasons


def _wrong(config: SourceConfig, problem: str) -> InputError:
    return InputError("source.path", config.path, problem, f"lay it out as {LAYOUT}")
