"""The numbers of a recipe: each one that is out of range is refused by its own name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import override, split_flags
from videoar.configs import t2v_4b
from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model.num-layers 0", "model.num_layers=0: is below 1; use 1 or more"),
        ("--model.num-heads 0", "model.num_heads=0: is below 1; use 1 or more"),
        ("--model.num-heads 3", "model.num_heads=3: does not cut model.width=64 into heads of even width"),
        ("--model.max-side 0", "model.max_side=0: is below 1; use 1 or more"),
        ("--model.rope-base 0", "model.rope_base=0.0: is below 1; use 1 or more"),
        ("--model.text.max-tokens 0", "model.text.max_tokens=0: is below 1; use 1 or more"),
        ("--model.text.width 0", "model.text.width=0: is below 1; use 1 or more"),
        ("--model.text.kind label", "model.text.num_classes=0: allows no label; use 1 or more"),
        ("--correction.p-max 0.6", "correction.p_max=0.6: is above 0.5; use 0.5 or less"),
        ("--correction.p-min 0.3", "correction.p_max=0.25: breaks p_min=0.3 <= p_max <= ceiling=0.5"),
        ("--correction.delta -1", "correction.delta=-1.0: is below 0; use 0 or more"),
        ("--optimizer.betas 0.9 1.0", "optimizer.betas.1=1.0: is not below 1; use a number below 1"),
        ("--optimizer.clip-norm 0", "optimizer.clip_norm=0.0: is below 1e-06; use 1e-06 or more, or null"),
        ("--optimizer.weight-decay nan", "optimizer.weight_decay=nan: is not a number; correct the value"),
        ("--optimizer.warmup-steps -1", "optimizer.warmup_steps=-1: is below 0; use 0 or more"),
        ("--optimizer.final-fraction 2", "optimizer.final_fraction=2.0: is above 1; use 1 or less"),
        ("--optimizer.ema-decay 1", "optimizer.ema_decay=1.0: is not below 1; use a number below 1"),
        ("--parallel.tensor 0", "parallel.tensor=0: is below 1; use 1 or more"),
        ("--parallel.virtual-pipeline 2", "parallel.virtual_pipeline=2: interleaves chunks of several pipeline stages"),
        ("--parallel.offload true", "parallel.offload=True: moves ZeRO's state to the CPU, but zero_stage=0 has none"),
        ("--stages.video.steps 0", "stages.video.steps=0: is below 1; use 1 or more"),
        ("--stages.video.batch 0", "stages.video.batch=0: is below 1; use 1 or more"),
        (
            "--stages.video.tokens-per-pack 300",
            "stages.video.tokens_per_pack=300: is not a multiple of 256; use 256 or 512",
        ),
        ("--stages.video.learning-rate -1", "stages.video.learning_rate=-1.0: is below 0; use 0 or more"),
        ("--stages.video.window 0", "stages.video.window=0: is below 1; use 1 or more"),
        ("--stages.video.p-mask 1", "stages.video.p_mask=1.0: is not below 1; use a number below 1"),
        ("--stages.video.plateau-delta -1", "stages.video.plateau_delta=-1.0: is below 0; use 0 or more"),
        ("--stages.video.plateau-patience 1", "stages.video.plateau_patience=1: waits for validations"),
        ("--log.save-every -1", "log.save_every=-1: is below 0; use 0 or more"),
        ("--log.keep-last 0", "log.keep_last=0: is below 1; use 1 or more"),
        ("--log.validation clips8", "log.validation=clips8: is not a dataset of the recipe; use one of: clips32, "),
        ("--faults.skip-budget -1", "faults.skip_budget=-1: is below 0; use 0 or more"),
        (
            "--faults.spike-factor 0.5",
            "faults.spike_factor=0.5: treats ordinary losses as spikes; use 0 or a number above",
        ),
        ("--faults.spike-window 1", "faults.spike_window=1: is below 2; use 2 or more"),
        ("--faults.hang-timeout-s 0", "faults.hang_timeout_s=0.0: is not above 0; use a number above 0"),
        ("--text-dropout 2", "text_dropout=2.0: is above 1; use 1 or less"),
        ("--name=", "name='': is empty; give the recipe a name"),
        ("--stages.video.name=", "stages.1.name='': is empty; give the stage a name"),
        ("--threads -1", "threads=-1: is below 0; use 0 or more"),
    ],
)
def test_a_bad_number_names_its_field(words: str, message: str) -> None:
    """A message about two fields, or none, sends a person to the wrong line of the recipe."""
    with pytest.raises(InputError) as raised:
        override(recipe(), split_flags(words.split())[1])
    assert message in str(raised.value)


def test_a_stage_without_a_layout_of_its_own_has_that_of_the_recipe() -> None:
    """Every engine asks here: the wrong answer would train a stage on a model that is cut for another."""
    own = ParallelConfig(tensor=2)
    base = recipe()
    mixed = replace(base, stages=(replace(base.stages[0], parallel=own), *base.stages[1:]))
    assert [mixed.parallel_of(stage) for stage in mixed.stages] == [own, base.parallel, base.parallel]


def test_attention_is_the_recipe_s_in_every_stage() -> None:
    """A stage with a layout of its own would attend otherwise, without a word, where the recipe names a backend."""
    recipe = t2v_4b.recipe()
    assert any(stage.parallel for stage in recipe.stages)
    told = replace(recipe, parallel=replace(recipe.parallel, attention="reference"))
    assert {told.parallel_of(stage).attention for stage in told.stages} == {"reference"}
    last = recipe.stages[-1]
    own = replace(last, parallel=replace(recipe.parallel_of(last), attention="flash"))
    assert told.parallel_of(own).attention == "flash"
