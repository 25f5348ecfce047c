"""Upload an export to the Hugging Face Hub. Everything is checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from httpx2 import HTTPError
from huggingface_hub import HfApi, ModelCard, ModelCardData, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import validate_repo_id
from yaml import YAMLError

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.processes.surroundings import read_text
from videoar.cluster.ground.versions import installed_version
from videoar.pretrain.export.model_card import LIBRARY
from videoar.pretrain.generate.pipeline import check_pair
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import (
    CARD,
    CONFIG,
    INDEX,
    OF_TOKENIZER,
    ExportConfig,
    check_weights,
    find_export,
    read_config,
    tokenizer_folder,
    weight_files,
)
from videoar.tokenizer import VideoTokenizer

STALE = ("model-*-of-*.safetensors", *OF_TOKENIZER)
"""Patterns of files of an earlier push that the same commit removes, unless they are written again."""
_REFUSED = (401, 403, 404)
"""HTTP status codes by which the Hub refuses a token without write access."""
_BAD_CARD = "Invalid metadata in README.md"
"""Beginning of huggingface_hub's message for a card that the Hub rejects; it checks the card before it sends any
file."""
_AGAIN = "run the same command again: files that have arrived are not sent twice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """An export that passed every check."""

    folder: Path
    files: tuple[str, ...]
    """Paths below the folder, which is the Hub's layout. Other files of the folder are not sent."""
    card: ModelCardData
    """Front matter of the model card."""
    config: ExportConfig

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return (self.folder / name).stat().st_size


def checked_upload(weights: str | Path, repo: str) -> Upload:
    """What would be sent to a repository. Needs no network.

    InputError for a name that the Hub does not take, a missing or damaged file, another tokenizer than that of the
    model's data, or a card that the Hub cannot read.
    """
    _check_name(repo)
    folder = find_export(weights)
    config = read_config(folder)
    upload = Upload(folder=folder, files=_files(folder, config), card=_card(folder / CARD), config=config)
    with torch.device("meta"):
        model = VideoAR(config.model)
    check_weights(folder, model.state_dict())
    check_pair(model, VideoTokenizer.from_pretrained(tokenizer_folder(folder, config)), config)
    return upload


def send(upload: Upload, repo: str, *, private: bool) -> str:
    """Send it as one commit, into a new or an existing repository; returns the address of its page.

    `private` makes a new repository private, and refuses one that everyone can read. The token is that of
    huggingface_hub: HF_TOKEN, or what `hf auth login` saved.
    """
    if get_token() is None:
        raise InputError("HF_TOKEN", "none", "is not set, and nobody is logged in", "run `hf auth login`, or set it")
    api = HfApi(library_name=LIBRARY, library_version=installed_version(LIBRARY))
    origin = upload.config.provenance
    with _in_one_line(repo):
        page = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(page.repo_id).private:
            remedy = "leave out --private, make it private in its settings, or name another one"
            raise InputError("repo", page.repo_id, "exists, and everyone can read it", remedy)
        api.upload_folder(
            repo_id=page.repo_id,
            folder_path=upload.folder,
            allow_patterns=[*upload.files],
            delete_patterns=[*STALE],
            commit_message=f"{origin.recipe or upload.folder.name}, step {origin.step}",
        )
    return str(page)


def _check_name(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        remedy = "use OWNER/NAME, of letters, digits, `-`, `_` and `.`; the name has at most 96"
        raise InputError("repo", repo, "is not the name of a repository on the Hub", remedy) from error


def _files(folder: Path, config: ExportConfig) -> tuple[str, ...]:
    """Everything that the export consists of; InputError for the first file that is missing."""
    tokenizer = () if config.shipped_tokenizer else OF_TOKENIZER
    files = (CARD, CONFIG, INDEX, *weight_files(folder), *tokenizer)
    for name in files:
        if not (folder / name).is_file():
            raise InputError("weights", folder, f"lacks {name}", "export the run again: `videoar export RUN OUT`")
    return files


def _card(path: Path) -> ModelCardData:
    """The front matter, as the Hub reads it: the lines between `---` with which a card begins."""
    text = read_text(path)
    again = "export the run again, or correct the lines between `---`"
    if not REGEX_YAML_BLOCK.match(text):
        raise InputError("card", path, "has no front matter", again)
    try:
        data = ModelCard(text).data
    except (ValueError, TypeError, YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError("card", path, f"has a front matter that the Hub cannot read ({reason})", again) from error
    assert isinstance(data, ModelCardData)
    if data.library_name != LIBRARY:
        raise InputError("card", path, f"has library_name {data.library_name}, not {LIBRARY}", again)
    return data


@contextmanager
def _in_one_line(repo: str) -> Iterator[None]:
    """Errors of the Hub and of the network as one line each."""
    try:
        yield
    except InputError:
        raise
    except HfHubHTTPError as error:
        status, said = error.response.status_code, " ".join((error.server_message or "").split())[:200]
        if status in _REFUSED:
            remedy = "use a token that may write there: run `hf auth login`, or set HF_TOKEN"
            raise InputError("repo", repo, f"is refused by the Hub ({status} {said})".rstrip(), remedy) from error
        raise StoreError(repo, f"the Hub answered {status} {said}".rstrip(), _AGAIN) from error
    except (ValueError, HTTPError, OfflineModeIsEnabled, RuntimeError) as error:
        if str(error).startswith(_BAD_CARD):
            said = " ".join(str(error).split()).removeprefix(_BAD_CARD).strip(" .-")
            raise InputError("card", CARD, f"is refused by the Hub ({said})", "correct it") from error
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise StoreError(repo, f"was not sent to {constants.ENDPOINT} ({reason})", _AGAIN) from error
