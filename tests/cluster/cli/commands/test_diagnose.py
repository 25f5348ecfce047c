from __future__ import annotations

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.finding import Finding
from videoar.pretrain import diagnose

FOUND = (
    Finding(name="disk", state="ok", found="9 GiB free"),
    Finding(name="data", state="fail", found="no captions", remedy="add captions"),
    Finding(name="loss", state="fail", found="flat", remedy="train longer"),
)


def test_the_first_failure_is_the_likeliest_cause(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Causes come before symptoms: naming a later failure would send a person after a symptom."""
    monkeypatch.setattr(diagnose, "diagnose", lambda run, **options: iter(FOUND))
    assert main(["diagnose", "run"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 fail, 1 ok. Likeliest cause: data: add captions"
    monkeypatch.setattr(diagnose, "diagnose", lambda run, **options: iter(FOUND[:1]))
    assert main(["diagnose", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 ok."
