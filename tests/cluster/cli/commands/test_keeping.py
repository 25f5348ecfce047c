"""`videoar evaluate bits`, `drift`, `recovery` and `world` with --keep: killed, resumed, and shared among processes."""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data_pipeline.jobs import config, make_shards, shapes
from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.evaluate.robustness import clips as held_out
from videoar.pretrain.evaluate.world.evaluate import num_groups
from videoar.pretrain.evaluate.world.plan import WorldPlan
from videoar.pretrain.generate.video import save_mp4
from videoar.tokenizer.config import ClipBucket

from ....forked import Forked

OF_WORLD = ["--prompts", "3", "--clips", "3", "--batch", "2"]
ASKED = {
    "bits": ["CLIPS", "--reference", "SHARDS"],
    "drift": ["SHARDS", "--batch", "2"],
    "recovery": ["SHARDS", "--flip-ratios", "0.2"],
    "world": OF_WORLD,
}
OTHERS = {
    "bits": ["--max-clips", "3"],
    "drift": ["--temperature", "0.5"],
    "recovery": ["--seed", "1"],
    "world": ["--seed", "1"],
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(export_folder(tmp_path_factory.mktemp("export"), MODEL, clip_shape("32x32", 9)))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Shards of five clips, and a folder of five others."""
    shards, folder = tmp_path_factory.mktemp("shards"), tmp_path_factory.mktemp("clips")
    make_shards(config(shapes(num_clips=5, num_frames=9)), shards)
    for i in range(5):
        save_mp4(draw_clip(1, i, ClipBucket(schedule="32x32", num_frames=9)), folder / f"{i}.mp4", 8.0)
    return {"SHARDS": str(shards / "shapes"), "CLIPS": str(folder)}


@pytest.fixture
def asked(weights: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The words of a command; its clips are in groups of two."""
    monkeypatch.setattr(held_out, "GROUP", 2)
    return lambda name: ["evaluate", name, weights, *(places.get(word, word) for word in ASKED[name])]


def _found(capsys: pytest.CaptureFixture[str], words: list[str]) -> dict[str, Any]:
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ASKED))
def test_parts_give_the_figures_of_one_process(
    name: str, asked: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digit for digit; what is there is not measured again, and what is damaged is."""
    kept = tmp_path / "kept"
    words = [*asked(name), "--keep", str(kept)]
    whole = _found(capsys, asked(name))
    parts = [_found(capsys, [*words, "--part", f"{number}/2"]) for number in (1, 2)]
    assert all(part["clips"] > 0 for part in parts)
    assert sum(part["clips"] for part in parts) == parts[0]["of"]
    files = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(files) > 2
    damaged = min(files)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert _found(capsys, words) == whole
    assert {path for path in files if path.stat().st_mtime_ns != files[path]} == {damaged}
    assert main([*words, *OTHERS[name]]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"keep={kept}: holds figures of {name}|weights=")
    assert said.endswith("; name another folder, or remove this one and its .json")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_a_killed_process_resumes(
    number: signal.Signals,
    asked: Callable[[str], list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the figures of one that was not killed; two that do the same work at once do no harm."""
    caplog.set_level(logging.INFO)
    kept = tmp_path / "kept"
    words = [*asked("drift")[:-1], "1", "--keep", str(kept)]
    process, other = Forked(main, words), Forked(main, words)
    while not list(kept.glob("clips-*.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate()
    if number == signal.SIGUSR1:
        assert process.returncode == EXIT_PREEMPTED, said
        assert said.splitlines()[-1].startswith("stopped after a signal; to resume: videoar evaluate drift ")
    else:
        assert process.returncode == -signal.SIGKILL
    told, _ = other.communicate()
    (kept / "clips-00003.json").unlink()
    resumed = _found(capsys, words)
    assert f"4 of 5 clips were measured before: their results are read from {kept}" in caplog.messages
    assert resumed == json.loads(told) == _found(capsys, words[: words.index("--keep")])


@pytest.mark.slow
def test_the_world_keeps_numbers_and_makes_its_examples_again(
    asked: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A resumed evaluation shows the same clips as one that was not stopped; each group is a small file."""
    one, two, kept = (tmp_path / name for name in ("one", "two", "kept"))
    whole = _found(capsys, [*asked("world"), "--keep", str(kept), "--out", str(one)])
    files = list(kept.iterdir())
    assert len(files) == num_groups(WorldPlan(prompts=3, clips=3, batch=2))
    assert max(file.stat().st_size for file in files) < 40_000
    for file in kept.glob("two_objects-*.json"):
        file.unlink()
    assert _found(capsys, [*asked("world"), "--keep", str(kept), "--out", str(two)]) == whole
    for name in ("prompts.png", "continued.png", "report.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("drift", ("--part", "1/2"), "part=1/2: has no effect without --keep"),
        ("recovery", ("--keep", "KEPT", "--part", "3/2"), "part='3/2': is not a part"),
        ("drift", ("--keep", "KEPT", "--part", "4/4"), "part=4/4: has none of the 3 groups of clips; use fewer parts"),
        ("world", ("--keep", "KEPT", "--part", "1/2", "--out", "KEPT"), "out=KEPT: needs the figures of all"),
        ("bits", ("--keep", "KEPT", "--part", "1/2", "--picture", "x.svg"), "picture=x.svg: needs the figures of"),
        ("world", ("--keep", "KEPT", "--out", "KEPT"), "keep=KEPT: is in --out KEPT, which holds only figures"),
        ("world", ("--keep", "ROWS", "--out", "KEPT"), "keep=ROWS: is in --out KEPT, which holds only figures"),
        ("bits", ("--keep", "WEIGHTS"), "keep=WEIGHTS: has files, and no "),
    ],
)
def test_what_cannot_be_kept_is_refused(
    name: str,
    words: tuple[str, ...],
    line: str,
    asked: Callable[[str], list[str]],
    weights: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, and nothing is written."""
    there = {"KEPT": str(tmp_path / "kept"), "ROWS": str(tmp_path / "kept" / "rows"), "WEIGHTS": weights}
    assert main([*asked(name), *(there.get(word, word) for word in words)]) == 2
    said = [one for one in capsys.readouterr().err.splitlines() if not one.startswith("{")]
    for word, path in there.items():
        line = line.replace(word, path)
    assert said[-1].startswith(line)
    assert len(said) == 1
    assert not list(tmp_path.iterdir())
