"""Packs that are built ahead: those of the step that will train on them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from videoar.pretrain.batch.pack import training_pack
from videoar.pretrain.built_steps import step_builder
from videoar.pretrain.engine.plain import PlainEngine


def test_each_step_is_drawn_for_its_own_number(toy: Any) -> None:
    """Built for the step before, a resumed run would flip other bits than the run without a stop."""
    recipe, samples = toy.recipe(), (toy.sample(1, "32x32", 2),)
    build = step_builder(recipe, PlainEngine(recipe, torch.device("cpu")), toy.stage, 7)
    for step in (7, 8):
        built = build((samples, samples))
        assert built.step == step
        wanted = training_pack(samples, recipe, toy.stage, step)
        for host in built.packs:
            assert len(host.layout.attends) == 1  # its attention is built ahead, too
            pack = host.on("cpu")
            assert torch.equal(pack.targets, wanted.targets)
            for field in fields(pack.inputs):
                assert torch.equal(getattr(pack.inputs, field.name), getattr(wanted.inputs, field.name)), field.name
    assert not torch.equal(wanted.inputs.features, training_pack(samples, recipe, toy.stage, 7).inputs.features)
