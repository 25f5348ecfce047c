from __future__ import annotations

from videoar.configs.debug import recipe
from videoar.configs.sizes import TINY, parameter_count


def test_it_needs_nothing_from_outside() -> None:
    """Tests and first looks run without network, GPU or weights: everything is drawn or seeded."""
    data = recipe().data
    assert {dataset.source.kind for dataset in data.datasets} == {"shapes"}
    assert (data.tokenizer.path, data.tokenizer.preset, data.url) == ("", "tiny", "")
    assert recipe().log.wandb == "off"


def test_it_repeats_to_the_digit() -> None:
    """Golden losses hold for one thread in float32 only; two threads add in another order."""
    assert (recipe().precision, recipe().threads) == ("float32", 1)
    assert sum(stage.steps for stage in recipe().stages) == 20


def test_its_model_is_not_the_tiny_size() -> None:
    """The size `tiny` is another model: checkpoints of the two do not fit each other."""
    model = recipe().model
    assert (model.num_layers, model.width, model.num_heads) == (4, 64, 4)
    assert parameter_count(model) != parameter_count(TINY)
