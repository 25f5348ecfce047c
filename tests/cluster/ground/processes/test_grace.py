from __future__ import annotations

import subprocess
import sys

import pytest

from videoar.cluster.ground.processes.grace import grace_s

CODE = """
import subprocess, sys
asks = "from videoar.cluster.ground.processes.grace import grace_s; print(grace_s(240.0))"
subprocess.run([sys.executable, "-c", asks])
"""


@pytest.mark.parametrize(("told", "expected"), [(None, 27.0), ("120", 117.0), ("600", 240.0), ("never", 27.0)])
def test_the_agent_kills_sooner_than_the_recipe_says(
    told: str | None, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed in the 30th second cannot note that the run is to be submitted again."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert grace_s(240.0) == 240.0
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    if told:
        monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", told)
    assert grace_s(240.0) == expected


@pytest.mark.parametrize("words", [["--shutdown-timeout", "90"], ["--shutdown_timeout=90"]])
def test_the_agents_own_option_counts(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun does not pass it on to its workers."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 87.0
