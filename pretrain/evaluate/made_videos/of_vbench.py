"""The videos that VBench's tool reads, by name: `{prompt}-{index}.mp4`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short
from videoar.cluster.ground.files import WRITING
from videoar.pretrain.evaluate.made_videos.folder import seed_of
from videoar.pretrain.generate import Request
from videoar.pretrain.generate.prompts import lines_of, read_text

SAMPLES, FLICKERING_SAMPLES = 5, 25
"""Videos of a prompt, and of a prompt that tests temporal flickering."""
FLICKERING = "temporal_flickering"
_LONGEST_NAME = 255 - len(f".{WRITING}")
"""Longest file name in bytes, with room for the name of the file while it is written."""
_CAMERA = re.compile(r", camera (pans left|pans right|tilts up|tilts down|zooms in|zooms out|static)$")
"""How a prompt of VBench-I2V asks for a camera motion."""
_REMEDY = "give VBench_full_info.json, or a text file with a prompt in each line"


@dataclass(frozen=True, slots=True)
class WantedVideo:
    """One video of a prompt."""

    prompt: str
    index: int
    image: Path | None = None
    """Picture to animate, of VBench-I2V."""

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.prompt}-{self.index}.mp4"

    def request(self, sampled: Request) -> Request:
        """Prompt and picture, and a seed of its own."""
        seed = seed_of(sampled.seed, self.index, self.prompt)
        return replace(sampled, prompt=self.prompt, image=self.image, seed=seed)


def read_prompts(path: Path) -> dict[str, int]:
    """Each prompt once, with its number of videos. InputError for a file of another kind, or an impossible name."""
    text = read_text(path)
    found = _from_json(path, text) if _is_json(path, text) else dict.fromkeys(lines_of(text).values(), SAMPLES)
    if not found:
        raise InputError("prompts", path, "has no prompt", _REMEDY)
    for prompt in found:
        _check_name(path, prompt)
    return found


def wanted_videos(prompts: dict[str, int], images: Mapping[str, Path] | None = None) -> list[WantedVideo]:
    """All videos, prompt by prompt; with `images`, each begins with the picture of its prompt."""
    image_of = (images or {}).get
    return [
        WantedVideo(prompt, index, image_of(prompt)) for prompt, samples in prompts.items() for index in range(samples)
    ]


def find_images(path: Path, prompts: Iterable[str], folder: Path) -> dict[str, Path]:
    """The picture of each prompt of VBench-I2V, in a folder. InputError for the first that is not there.

    An entry may name its picture (`image_name`); otherwise it is named as the prompt without its camera motion.
    """
    text = read_text(path)
    names = {}
    if _is_json(path, text):
        names = {entry["prompt_en"]: _image_name(path, entry) for entry in _entries(path, text)}
    found = {prompt: folder / (names.get(prompt) or f"{_CAMERA.sub('', prompt)}.jpg") for prompt in prompts}
    missing = [image for image in found.values() if not image.is_file()]
    if missing:
        problem = f"is not there, and {len(missing)} of {len(found)} prompts lack a picture"
        raise InputError(
            "images", missing[0], problem, "give the folder of VBench-I2V's pictures in one shape, crop/16-9"
        )
    return found


def _is_json(path: Path, text: str) -> bool:
    """Whether a file is meant as JSON: by its name, or by how it begins."""
    return path.suffix.lower() == ".json" or text.lstrip().startswith(("[", "{"))


def _from_json(path: Path, text: str) -> dict[str, int]:
    """Entries with a prompt and its dimensions; a prompt with two entries gets the larger number of videos."""
    found: dict[str, int] = {}
    for entry in _entries(path, text):
        prompt, dimensions = entry["prompt_en"], entry["dimension"]
        samples = FLICKERING_SAMPLES if FLICKERING in dimensions else SAMPLES
        found[prompt] = max(samples, found.get(prompt, 0))
    return found


def _entries(path: Path, text: str) -> list[dict[str, Any]]:
    """The entries of a file of VBench: each has `prompt_en`, a text, and `dimension`, one name or a list of them."""
    try:
        entries: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("prompts", path, "is not JSON", _REMEDY) from error
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise InputError("prompts", path, "is not a list of entries with prompt_en and dimension", _REMEDY)
    return entries


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt_en"), str):
        return False
    dimension = entry.get("dimension")
    names = dimension if isinstance(dimension, list) else [dimension]
    return all(isinstance(name, str) for name in names)


def _image_name(path: Path, entry: dict[str, Any]) -> str | None:
    """The picture that an entry names; None if it names none. InputError for a name that is not text."""
    if "image_name" not in entry:
        return None
    name = entry["image_name"]
    if not isinstance(name, str) or not name:
        place, problem = f"{path}: {short(entry['prompt_en'])}", f"has image_name {short(json.dumps(name))}, not a name"
        raise InputError("prompts", place, problem, "name the picture, or leave image_name out")
    return name


def _check_name(path: Path, prompt: str) -> None:
    name = WantedVideo(prompt, FLICKERING_SAMPLES).name
    if "/" in prompt or "\0" in prompt:
        raise InputError("prompts", f"{path}: {short(prompt)}", "cannot be the name of a file", "leave out the /")
    if len(name.encode()) > _LONGEST_NAME:
        problem = f"is too long for the name of a file, which has at most {_LONGEST_NAME} bytes"
        raise InputError("prompts", f"{path}: {short(prompt)}", problem, "shorten it")
