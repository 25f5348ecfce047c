"""Detection of loss spikes."""

from __future__ import annotations

import math

from videoar.pretrain.config import FaultConfig
from videoar.pretrain.loss_spikes import LossHistory

SPIKES = FaultConfig(spike_factor=1.5, spike_window=4)


def test_losses_that_are_not_finite_stay_out_of_the_history() -> None:
    """The median of a window with NaNs in it is anything: no spike would be seen for as long as they stay there."""
    history = LossHistory(SPIKES, [])
    for loss in (1.0, math.nan, math.inf, 1.0, math.nan):
        assert not history.add(loss)
    assert history.losses == [1.0, 1.0]
    assert history.add(10.0)
