from __future__ import annotations

import pytest
import torch

from videoar.cluster.doctor import arithmetic
from videoar.pretrain.model.attention import selfcheck
from videoar.pretrain.model.attention.selfcheck import AttentionCheck, usable_backends


def test_a_wrong_product_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken unit computes wrong numbers, and the loss of a run of weeks shows it last."""
    assert arithmetic.bf16().state == "ok"
    monkeypatch.setattr(torch, "equal", lambda one, other: False)
    assert (arithmetic.bf16().state, arithmetic.bf16().remedy) == ("fail", "use precision=float32")


def test_a_cpu_without_bf16_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It converts each number, and trains several times slower than in float32."""
    monkeypatch.setattr(arithmetic, "_has", lambda feature: feature == "amx_bf16")
    assert (arithmetic.cpu_bf16().state, arithmetic.cpu_bf16().found) == ("ok", "amx_bf16")
    monkeypatch.setattr(arithmetic, "_has", lambda feature: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert arithmetic.cpu_bf16().state == "warn"


def test_every_backend_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that trains must be right; another that is not only must not be chosen."""
    wrong: list[str] = []

    def check(device: torch.device, backend: str) -> AttentionCheck:
        if backend in wrong and len(wrong) > 1:
            raise RuntimeError("no kernel image is available")
        return AttentionCheck(backend, float("nan") if backend in wrong else 0.01, 0.02)

    monkeypatch.setattr(selfcheck, "selfcheck", check)
    chosen, *others = usable_backends(torch.device("cpu"))
    assert (chosen, others) == ("flash", ["reference"])
    assert arithmetic.attention().state == "ok"
    for backend, state in (("reference", "warn"), ("flash", "fail")):
        wrong[:] = [backend]
        assert arithmetic.attention().state == state
        assert "within nan" in arithmetic.attention().found
    wrong[:] = ["flash", "reference"]
    found = arithmetic.attention()
    assert (found.state, found.figures["broken"]) == ("fail", ["flash", "reference"])
    assert "flash: no kernel image is available" in found.found
