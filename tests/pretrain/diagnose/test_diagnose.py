"""All checks together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs import tokenizer_small
from videoar.configs.load import save_recipe
from videoar.pretrain.diagnose import data
from videoar.pretrain.diagnose.evidence import Evidence

from .curves import healthy, states, write


def test_a_healthy_curve_is_left_alone(tmp_path: Path) -> None:
    """A diagnosis that reports problems in healthy runs is soon ignored."""
    found = states(write(tmp_path, healthy()))
    assert {name for name, state in found.items() if state in ("warn", "fail")} == set()
    assert {"first loss", "learning", "by block", "data wait"} <= {
        name for name, state in found.items() if state == "ok"
    }


def test_an_untrained_tokenizer_is_said(tmp_path: Path) -> None:
    """A curve that learns does not make its pictures better; the recipe of these curves is debug."""
    first = next(data.tokenizer(Evidence.read(write(tmp_path, healthy()))))
    assert (first.state, first.found) == ("warn", "is untrained: pictures are noise")


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the command, not its parts; here it also finds that the shards are gone."""
    assert main(["diagnose", str(write(tmp_path / "run", healthy()))]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "is untrained: pictures are noise" in line]
    assert line.split()[:2] == ["warn", "tokenizer"]


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts ask whether anything fails; a folder that is no run is the user's error."""
    assert main(["diagnose", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("run=")
    (tmp_path / "other").mkdir()
    save_recipe(tokenizer_small.recipe(), tmp_path / "other" / "config.yaml")
    for words in (["diagnose"], ["export", str(tmp_path / "out")]):
        assert main([words[0], str(tmp_path / "other"), *words[1:]]) == 2
        assert capsys.readouterr().err.startswith(f"run={tmp_path / 'other'}: is a run of a tokenizer; give a gen")
    run = write(tmp_path / "run", [])
    assert main(["diagnose", str(run), "--weights", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"weights={tmp_path}: holds no config.json")
    assert main(["diagnose", str(run)]) == 1
    assert "no step was recorded" in capsys.readouterr().out
    assert main(["diagnose", str(run), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"name", "state", "found", "remedy", "figures"} == set(lines[0])
