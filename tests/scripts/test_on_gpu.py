"""`scripts/on_gpu.sh`: every part runs, and none prevents the next. It runs for real on a rented machine only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main

ROOT = Path(__file__).parents[2]
PARTS = ("machine", "tests", "parity", "attention", "train", "nccl", "decode", "tokenizer")
STUB = """#!/usr/bin/env bash
words="$*"
if [[ $words == *"bench train"* ]]; then echo "no memory"; exit 3; fi
if [[ $words == *"bench decode"* ]]; then sleep 60; fi
if [[ $words == *--output* ]]; then echo '{"benchmark": "stub"}' >>"${words##*--output }"; fi
"""
"""A Python that fails at training and hangs at decoding."""
RECORDER = """#!/usr/bin/env bash
echo "$*" >>"$OUT/commands"
"""
"""A Python that keeps its words and does nothing."""


def on_gpu(out: Path, *words: str, **environment: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, what was printed, and the lines of the results."""
    variables = {**os.environ, "OUT": str(out), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, **environment}
    command = [ROOT / "scripts/on_gpu.sh", "--rehearse", *words]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    results = out / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    return done.returncode, done.stdout, lines


@pytest.fixture
def stub(tmp_path: Path) -> str:
    return _program(tmp_path / "python", STUB)


@pytest.fixture
def recorder(tmp_path: Path) -> str:
    return _program(tmp_path / "python", RECORDER)


def _program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_the_commands_of_all_parts_are_accepted(
    tmp_path: Path, recorder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that is gone is found here, and not in the nine minutes on the machine."""
    code, printed, lines = on_gpu(tmp_path, PYTHON=recorder)
    assert code == 0, printed
    assert [line["part"] for line in lines] == list(PARTS)
    commands = [line.split() for line in (tmp_path / "commands").read_text().splitlines()]
    assert len(commands) == len(PARTS)
    (files,) = [words[words.index("no:cacheprovider") + 1 :] for words in commands if "pytest" in words]
    assert files
    assert all((ROOT / file).is_file() for file in files)
    for words in commands:
        if "pytest" not in words:
            assert main([*words[words.index("bench") :], "--cases", "none of them"]) == 2
            assert capsys.readouterr().err.startswith("cases=none of them: "), words


@pytest.mark.slow
@pytest.mark.drill  # what the parts run at toy size, tests/benchmarks run in one process
def test_a_rehearsal_runs_every_part(tmp_path: Path) -> None:
    """A part that cannot start is found here, and not in the nine minutes on the machine."""
    code, printed, lines = on_gpu(tmp_path)
    assert code == 0, printed
    parts = {line["part"]: line for line in lines if "part" in line}
    assert tuple(parts) == PARTS
    assert {part["result"] for part in parts.values()} == {"ok"}
    assert all(parts[name]["lines"] > 0 for name in PARTS if name != "tests")
    benchmarks = {line["benchmark"] for line in lines if "part" not in line}
    assert benchmarks == {"machine", "attention", "train", "size1", "decode", "tokenizer"}
    assert "skipped" in (tmp_path / "log.txt").read_text()  # the tests of the GPU were found


@pytest.mark.slow
def test_a_part_that_fails_or_hangs_is_reported_and_the_others_run(tmp_path: Path, stub: str) -> None:
    """The machine is gone when somebody sees that training ran out of memory and nothing came after it."""
    code, printed, lines = on_gpu(tmp_path, "train", "decode", "tokenizer", PYTHON=stub, TOTAL_S="2")
    assert code == 1
    ended = {line["part"]: line["result"] for line in lines if "part" in line}
    assert ended["train"] == "failed with exit code 3"
    assert ended["decode"].startswith("stopped after")
    assert ended["tokenizer"] == "ok"
    assert "no memory" in (tmp_path / "log.txt").read_text()
    assert "failed with exit code 3" in printed.splitlines()[-3]


def test_an_unknown_part_is_refused(tmp_path: Path, stub: str) -> None:
    """A typing error would use the machine for nothing."""
    code, printed, lines = on_gpu(tmp_path, "trian", PYTHON=stub)
    assert code == 2
    assert printed.startswith("PART=trian: is not a part; use: machine tests")
    assert not lines


def test_limits_of_the_parts_fit_into_the_total() -> None:
    """A part that gets less than its limit on a full run would be stopped by the parts before it."""
    text = (ROOT / "scripts/on_gpu.sh").read_text()
    limits = dict(line.split() for line in text.split('PARTS="')[1].split('"')[0].splitlines())
    assert tuple(limits) == PARTS
    assert sum(map(int, limits.values())) <= int(text.split("TOTAL_S:-$((")[1].split()[0]) < 9 * 60


def test_the_bundle_is_of_pinned_versions() -> None:
    """pip would take the newest version of a package that constraints.txt lacks, or that is spelt otherwise there."""
    script, pins = (ROOT / "scripts/gpu_bundle.sh").read_text(), (ROOT / "constraints.txt").read_text().lower()
    wanted = [
        name for names in re.findall(r"^(?:pure|compiled)=\((.*)\)$", script, re.MULTILINE) for name in names.split()
    ]
    assert len(wanted) > 10
    assert not [name for name in wanted if f"\n{name.replace('-', '_')}==" not in pins.replace("-", "_")]
