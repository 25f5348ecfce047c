"""`videoar push`, against the part of the Hub that an upload needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.exported import export_folder
from tests.hub_server import TOKEN, Hub, hub
from videoar.cluster.entry import main
from videoar.pretrain.export import push
from videoar.pretrain.model.pretrained import find_export

# huggingface_hub's upload of large files without Xet uses an argument of httpx2 that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CARD = "---\nlicense: mit\nlibrary_name: videoar\ntags:\n- video-generation\n---\n\n# Tiny\n"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a card, and a file that does not belong to it."""
    folder = export_folder(tmp_path_factory.mktemp("weights") / "tiny")
    (folder / "README.md").write_text(CARD)
    (folder / "notes.txt").write_text("not for others")
    return folder


@pytest.fixture
def weights(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(exported, tmp_path / "tiny")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The Hub that the library talks to, with a token that may write."""
    with hub() as serving:
        for name, value in {"ENDPOINT": serving.url, "HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False}.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield serving


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_export_arrives_and_nothing_else(weights: Path, server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """Notes of a folder must not become public; a weight that changes on the way would only show as noise."""
    assert main(["push", str(weights), "me/tiny"]) == 0
    sent = files(weights)
    del sent["notes.txt"]
    assert server.repos["me/tiny"] == {**sent, ".gitattributes": b""}
    assert not server.private
    out, err = capsys.readouterr()
    assert out == f"{server.url}/me/tiny\n"
    assert TOKEN not in out + err


def test_a_second_push_leaves_no_file_of_the_first(weights: Path, server: Hub) -> None:
    """More files of weights than the index lists are what a tool that globs them would load."""
    server.repos["me/tiny"] = {"model-00002-of-00002.safetensors": b"old", "samples/a.mp4": b"kept"}
    assert main(["push", str(weights), "tiny"]) == 0
    assert "model-00002-of-00002.safetensors" not in server.repos["me/tiny"]
    assert server.repos["me/tiny"]["samples/a.mp4"] == b"kept"
    assert len(server.messages) == 1


def test_private_is_private_or_refused(weights: Path, server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """The Hub leaves a public repository public: --private would publish the weights."""
    assert main(["push", str(weights), "me/hidden", "--private"]) == 0
    assert server.private == {"me/hidden"}
    server.repos["me/open"] = {}
    capsys.readouterr()
    assert main(["push", str(weights), "me/open", "--private"]) == 2
    assert capsys.readouterr().err.startswith("repo=me/open: exists, and everyone can read it; ")
    assert server.repos["me/open"] == {}


def test_a_dry_run_lists_and_sends_nothing(
    weights: Path, server: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what people run before they have a token."""
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", str(weights), "me/tiny", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    listed = [line.split()[-1] for line in out.splitlines()[:7]]
    assert sorted(listed) == sorted(["total", *(name for name in files(weights) if name != "notes.txt")])
    assert "license: mit\n" in out
    assert err == "nothing was sent to me/tiny: leave out --dry-run to send it\n"
    assert server.requests == []


def test_a_card_without_a_licence_is_said(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one nobody may use the weights, which is rarely what their author wants."""
    (weights / "README.md").write_text(CARD.replace("license: mit\n", ""))
    assert main(["push", str(weights), "tiny", "--dry-run"]) == 0
    assert "the card names no licence" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("# Tiny\n", "has no front matter"),
        ("---\n- a\n---\n", "cannot read (repo card metadata block should be a dict)"),
        ("---\na: [\n---\n", "cannot read (while parsing"),
        ("---\nlibrary_name: diffusers\n---\n", "library_name diffusers, not videoar"),
    ],
)
def test_a_card_that_the_hub_cannot_read_is_refused(
    weights: Path, card: str, said: str, server: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page would be empty, and the model in no list."""
    (weights / "README.md").write_text(card)
    assert main(["push", str(weights), "me/tiny"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("card=")
    assert error.count("\n") == 1
    assert said in error
    assert server.requests == []


def test_what_cannot_be_used_is_refused_before_anything_is_sent(
    weights: Path, server: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    """People download gigabytes before they see that a file is missing, cut off, or of another tokenizer."""
    whole = files(weights)
    (name,) = (name for name in whole if name.startswith("model-"))
    described = json.loads(whole["config.json"])
    damages: dict[str, tuple[bytes | None, str]] = {
        "README.md": (None, "lacks README.md"),
        "tokenizer/model.safetensors": (whole["tokenizer/model.safetensors"][:-8] + bytes(8), "is not the file that"),
        name: (whole[name][:-8], "cannot be read"),
        "config.json": (json.dumps(described | {"tokenizer_hash": "ab"}).encode(), "is not the tokenizer ab"),
        "model.safetensors.index.json": (b'{"weight_map": {"a": "../model.bin"}}', "lists ../model.bin"),
    }
    for damaged, (content, said) in damages.items():
        (weights / damaged).unlink()
        if content is not None:
            (weights / damaged).write_bytes(content)
        assert main(["push", str(weights), "me/tiny"]) == 2, damaged
        assert said in capsys.readouterr().err
        (weights / damaged).write_bytes(whole[damaged])
    assert server.requests == []


@pytest.mark.parametrize("repo", ["a/b/c", "me/..", "datasets/me/tiny", "mé/tiny", "me/" + "x" * 97])
def test_a_name_that_the_hub_does_not_take(repo: str, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(weights), repo, "--dry-run"]) == 2
    assert capsys.readouterr().err.startswith(f"repo={repo}: is not the name of a repository on the Hub; use ")


def test_errors_of_the_hub_are_one_line(
    weights: Path, server: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback of a client library hides that a token is read-only, or that the network is down."""

    def pushed(repo: str) -> tuple[int, str]:
        code = main(["push", str(weights), repo])
        return code, capsys.readouterr().err

    code, said = pushed("others/tiny")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("repo=others/tiny: is refused by the Hub (403 You don't have the rights); use a token")
    server.card_errors.append('"license" must be one of [...]')
    code, said = pushed("me/tiny")
    assert (code, said.count("\n")) == (2, 1)
    assert '"license" must be one of' in said
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    code, said = pushed("me/tiny")
    assert (code, said.count("\n")) == (1, 1)
    assert "was not sent to http://127.0.0.1:9 (" in said
    monkeypatch.delenv("HF_TOKEN")
    assert pushed("me/tiny") == (
        2,
        "HF_TOKEN=none: is not set, and nobody is logged in; run `hf auth login`, or set it\n",
    )


def test_the_shipped_weights_can_be_pushed() -> None:
    """Their tokenizer is in the package, so they have no folder of it; the Hub's own parser reads their card."""
    upload = push.checked_upload("small-world", "me/small-world")
    assert upload.files[:3] == ("README.md", "config.json", "model.safetensors.index.json")
    assert not any("tokenizer" in name for name in upload.files)
    data = ModelCard.load(find_export("small-world") / "README.md").data
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "videoar", "text-to-video")
    assert data.tags
