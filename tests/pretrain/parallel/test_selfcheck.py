from __future__ import annotations

import pytest
import torch

from videoar.pretrain.parallel import selfcheck


def test_a_library_that_computes_something_else_is_found() -> None:
    """A gradient that is missing, wrong or not a number; the step itself runs in the test of the doctor."""
    right = torch.ones(3)
    selfcheck._compare("gradient", right + 1e-4, right)
    for wrong in (None, 1.1 * right, torch.full((3,), torch.nan)):
        with pytest.raises(selfcheck._Wrong, match="another gradient than PyTorch"):
            selfcheck._compare("gradient", wrong, right)
