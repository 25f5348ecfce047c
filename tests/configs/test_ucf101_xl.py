from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ucf101_l, ucf101_xl


def test_only_the_size_differs() -> None:
    """Both use the same shards and are compared in Table 3: another difference would be taken for one of size."""
    found = differences(ucf101_l.recipe(), ucf101_xl.recipe())
    assert set(found) == {"name", "model.num_layers", "model.width", "model.num_heads", "parallel.recompute"}
