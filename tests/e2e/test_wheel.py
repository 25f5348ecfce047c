"""The wheel, outside of the checkout: what works with the core requirements alone, and what says that it needs more."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..data_pipeline.videos import scene, write_frames
from ..exported import export_folder
from ..pretrain.blocked import hiding

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

COMMANDS = """
import contextlib, io, json
from videoar.cluster import entry
results = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = entry.main(words)
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps([entry.__file__, results]))
"""

NEEDS = {
    "train debug": "train",
    "train debug --data.online true": "train",
    "diagnose weights": "train",
    "report weights": "train",
    "init .": "train",
    "plan debug": "train",
    "evaluate world weights": "train",
    "tokenizer train tokenizer_small --clips.all.source.path .": "train",
    "tokenizer evaluate demo .": "train",
    "selfcheck": "train",
    "demo": "train",
    "study debug": "train",
    "bench train": "train",
    "data plan debug --output shards": "data",
    "data run debug --output shards": "data",
    "data text debug --output shards": "data",
    "data stats shards": "data",
    "data verify shards": "data",
    "data gc shards": "data",
    "data inspect shards 0": "data",
    "bench loader": "data",
    "bench attention --plot figure.svg": "plot",
    "serve weights": "serve",
}
"""The extra that each command asks for first, where there is none."""


FOLDER = "--data.datasets.all.source.kind folder --data.datasets.all.source.path clips"
WHOLE = {
    "data": (
        f"data plan debug --output plans {FOLDER} --data.datasets.all.shots.detector adaptive",
        "data stats plans",
    ),
    "train": (
        "train debug --run run --data.online true --stages.all.steps 1",
        "diagnose run",
        "report run",
        "export run weights",
        "train debug --run tuned --data.online true --stages.all.steps 1 --init weights",
    ),
}
"""What an extra is for, as far as it needs no other."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed the wheel into, from a copy: a build leaves files next to the source."""
    folder = tmp_path_factory.mktemp("wheel")
    others = shutil.ignore_patterns(".*", "build", "tests", "docs", "runs", "*.egg-info", "__pycache__", "shared")
    shutil.copytree(ROOT, folder / "source", ignore=others)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True)
    return folder / "site"


def beyond(installed: Path, extra: str) -> set[str]:
    """Every importable name of this environment that neither the core requirements nor one extra brings, directly or
    indirectly."""
    (own,) = installed.glob("videoar-*.dist-info")
    brought: set[tuple[str, str]] = set()
    waiting = [
        (word, wanted) for wanted in {"", extra} for word in importlib.metadata.Distribution.at(own).requires or ()
    ]
    while waiting:
        word, wanted = waiting.pop()
        requirement = Requirement(word)
        if requirement.marker and not requirement.marker.evaluate({"extra": wanted}):
            continue
        name = canonicalize_name(requirement.name)
        for part in {"", *requirement.extras}:
            if (name, part) not in brought:
                brought.add((name, part))
                waiting += [(needed, part) for needed in importlib.metadata.requires(name) or ()]
    names, known = {name for name, _ in brought}, importlib.metadata.packages_distributions()
    return {name for name, dists in known.items() if not {canonicalize_name(dist) for dist in dists} & names} - {
        "videoar"
    }


def run(installed: Path, folder: Path, *commands: str, extra: str = "") -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of commands in a process that finds the wheel and the requirements of the core, and
    those of one extra."""
    program = hiding(beyond(installed, extra)) + COMMANDS
    words = json.dumps([command.split() for command in commands])
    environment = {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    file, results = json.loads(done.stdout.splitlines()[-1])
    assert Path(file).is_relative_to(installed)
    return [(code, out, err) for code, out, err in results]


def test_the_core_generates_and_a_missing_extra_is_named(installed: Path, tmp_path: Path) -> None:
    """The package alone must make a video, and no command may end in a traceback for what is missing."""
    export_folder(tmp_path / "weights")
    core = (
        "--version",
        "config debug",
        "generate weights --prompt x --num-frames 5 --out x.mp4",
        "generate small-world --prompt x --num-frames 5 --out shipped.mp4",
    )
    results = run(installed, tmp_path, *core, *NEEDS)
    assert results[0][:2] == (0, "videoar 0.1.0\n")
    assert [code for code, _, _ in results[: len(core)]] == [0] * len(core), results[: len(core)]
    assert (tmp_path / "shipped.mp4").stat().st_size > 500
    assert (tmp_path / "x.mp4").stat().st_size > 500
    for (command, extra), (code, _, err) in zip(NEEDS.items(), results[len(core) :], strict=True):
        assert (code, err.count("\n")) == (2, 1), f"{command}: {err}"
        assert f"pip install 'videoar[{extra}]'" in err, f"{command}: {err}"


@pytest.mark.parametrize("extra", ["data", pytest.param("train", marks=pytest.mark.drill)])
def test_an_extra_is_whole_by_itself(installed: Path, extra: str, tmp_path: Path) -> None:
    """Who has typed the pip command of one line must not meet a second line with another."""
    write_frames(tmp_path / "clips/x.mp4", scene(0, 60))
    for command, (code, _, err) in zip(WHOLE[extra], run(installed, tmp_path, *WHOLE[extra], extra=extra), strict=True):
        assert code == 0, f"{command}: {err}"


def test_what_else_is_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    """`python -m videoar` where the folder of scripts is not on PATH, types for checkers, the tokenizer that ships."""
    package = installed / "videoar"
    assert (package / "py.typed").exists()
    for weights in ("tokenizer/weights/demo", "tokenizer/weights/world", "pretrain/weights/small-world"):
        assert list((package / weights).glob("*.safetensors")), weights
    assert not list(package.glob("tests"))
    module = [sys.executable, "-m", "videoar", "--version"]
    done = subprocess.run(module, cwd=tmp_path, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "videoar 0.1.0\n")
