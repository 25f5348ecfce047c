from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [name for name in PROJECT["tool"]["setuptools"]["packages"] if name != "videoar"]
"""Without the root, which is the checkout and has `__main__.py` only."""


def sources() -> list[Path]:
    folders = {package.split(".")[1] for package in PACKAGES}
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_the_package_list_is_complete() -> None:
    """A folder missing from the list works from the checkout and is absent from every installation."""
    folders = {path.parent for path in sources() if path.name == "__init__.py"}
    assert sorted(PACKAGES) == sorted("videoar." + ".".join(folder.relative_to(ROOT).parts) for folder in folders)
    assert not {path.parent for path in sources()} - folders


def test_the_root_of_the_package_has_one_module() -> None:
    """Every Python file next to `__main__.py` would be installed as a module of the package."""
    assert "videoar" in PROJECT["tool"]["setuptools"]["packages"]
    assert [path.name for path in ROOT.glob("*.py")] == ["__main__.py"]


def test_every_file_that_is_no_python_ships() -> None:
    """A table or a page that is only in the checkout is missing for everyone who installs the package."""
    shipped = PROJECT["tool"]["setuptools"]["package-data"]
    roots = {package: ROOT.joinpath(*package.split(".")[1:]) for package in shipped}
    found = {path for package, globs in shipped.items() for glob in globs for path in roots[package].glob(glob)}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {package.split(".")[1] for package in PACKAGES}
    assert {ROOT / name for name in tracked if name.split("/")[0] in folders and not name.endswith(".py")} <= found


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"os\.environ|os\.getenv|\bgetenv\(", {"cluster/ground/process.py"}),
        (r"pickle\.loads?\(|Unpickler\(|allow_pickle=True|torch\.load\((?!.*weights_only=True)", set()),
        (r"yaml\.(unsafe_load|full_load|load)\(", {"cluster/ground/fields/serialize.py"}),
        (r"trust_remote_code", set()),
        (r"Path\.home\(|\.expanduser\(", {"cluster/ground/processes/surroundings.py"}),
    ],
    ids=["environment", "pickle", "yaml", "remote code", "home"],
)
def test_what_only_one_file_may_do(pattern: str, allowed: set[str]) -> None:
    """State read from the environment, and loaders that run code, are how a run does what its recipe does not say."""
    found = {str(path.relative_to(ROOT)) for path in sources() if re.search(pattern, path.read_text())}
    assert found <= allowed


def test_every_dependency_is_pinned() -> None:
    """`make venv` must build next year what it builds today."""
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"]:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names <= pinned


def test_the_image_is_built_from_all_that_installs_and_nothing_else() -> None:
    """A package that is not sent to the builder is missing from the image; a folder of clips or runs ends up in it."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert lines[-1] == "**/__pycache__"  # the last line that matches decides
    sent = {line.removeprefix("!") for line in lines[1:-1]}
    folders = {package.split(".")[1] for package in PACKAGES}
    about = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert sent == folders | about | {"__main__.py", "py.typed", "pyproject.toml", "constraints.txt"}


def test_the_dockerfile_names_what_there_is() -> None:
    """An extra or a file that was renamed would end the build after minutes."""
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    extras = set(re.findall(r"extras\['(\w+)'\]", text))
    assert {"data", "train"} <= extras <= PROJECT["project"]["optional-dependencies"].keys()
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert [line for line in installs if "--constraint constraints.txt" not in line and "/wheel/*" not in line] == []
