from __future__ import annotations

import json

import pytest

from videoar.cluster.doctor import doctor
from videoar.cluster.entry import main
from videoar.cluster.ground.finding import Finding


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_failure_is_an_exit_code(
    state: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job script stops at the exit code: a missing GPU is a warning, a broken library is not."""
    finding = Finding(name="disk", state=state, found="9 GiB")  # type: ignore[arg-type]
    monkeypatch.setattr(doctor, "examine", lambda asked, on_start: [finding])
    assert main(["doctor", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["state"] == state
