"""The engine of a single process: its gradient accumulation, clipping and skipped steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.operations import Operations
from videoar.pretrain.batch.pack import host_pack
from videoar.pretrain.engine.plain import PlainEngine


@pytest.fixture
def engine(toy: Any) -> PlainEngine:
    return PlainEngine(replace(toy.recipe(), precision="float32"), torch.device("cpu"))


def weights(engine: PlainEngine) -> torch.Tensor:
    return torch.cat([fragment.states["master"].clone() for fragment in engine.fragments()])


def test_two_packs_are_one_step(toy: Any, engine: PlainEngine) -> None:
    """Losses of packs add up over N: a step must not depend on how its samples are packed."""
    samples = [toy.sample(number, "32x32", 2) for number in range(2)]
    other = PlainEngine(replace(toy.recipe(), precision="float32"), torch.device("cpu"))
    apart = engine.step([toy.pack(sample) for sample in samples], 2, 4, 1e-3)
    together = other.step([toy.pack(*samples)], 1, 4, 1e-3)
    torch.testing.assert_close(apart.grad_norm, together.grad_norm)
    torch.testing.assert_close(apart.tally.loss_sum, together.tally.loss_sum)
    assert engine.updates == 1


def test_a_step_that_is_not_finite_changes_nothing(toy: Any, engine: PlainEngine) -> None:
    """One NaN in the weights cannot be undone: the step is skipped, and the next one counts on clean gradients."""
    pack = toy.pack(toy.sample(1))
    before = weights(engine)
    result = engine.step([replace(pack, weights=float("nan") * pack.weights)], 1, 3, 1e-3)
    assert not result.applied
    assert engine.updates == 0
    assert torch.equal(weights(engine), before)
    assert engine.step([pack], 1, 3, 1e-3).applied
    assert not torch.equal(weights(engine), before)


def test_the_host_reads_one_number_in_a_step(toy: Any, engine: PlainEngine) -> None:
    """Each read makes the host wait until a GPU has done all its work; then the GPU waits for the host."""
    engine._optimizer = torch.optim.AdamW(engine.model.parameters(), fused=True)  # as on a GPU
    samples = [toy.sample(number, "48x48", 2) for number in range(2)]
    packs = [host_pack([sample], toy.recipe(), toy.stage, 0) for sample in samples]
    with Operations() as operations:
        result = engine.step((pack.on("cpu") for pack in packs), 2, 4, 1e-3)
    assert result.applied
    assert operations.reads == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_a_gpu_never_waits_for_all_of_its_work(toy: Any) -> None:
    """torch raises at every implicit synchronisation; the read at the end of the step waits for the norm alone."""
    device = torch.device("cuda")
    engine = PlainEngine(toy.recipe(), device)
    host = host_pack([toy.sample(1, "48x48", 2)], toy.recipe(), toy.stage, 0, pinned=True)
    engine.step([host.on(device)], 1, 2, 1e-3)  # fills caches, and creates the optimizer's state
    engine.plan(host.layout)
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = engine.step((pack.on(device) for pack in [host]), 1, 2, 1e-3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result.applied
    bad = host.on(device)
    assert not engine.step([replace(bad, weights=float("nan") * bad.weights)], 1, 2, 1e-3).applied
    assert all(torch.isfinite(parameter).all() for parameter in engine.model.parameters())
