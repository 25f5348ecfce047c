from __future__ import annotations

import pytest

from videoar.tokenizer import VideoTokenizer


@pytest.fixture(scope="session")
def tiny() -> VideoTokenizer:
    """An untrained tokenizer of 16 bits per token. Tests do not change it."""
    return VideoTokenizer.preset("tiny", latent_dim=16)
