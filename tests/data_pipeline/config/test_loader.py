from __future__ import annotations

import re
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.loader import LoaderConfig

WRONG = {
    "cache_bytes": 0,
    "fetch_threads": 0,
    "read_threads": -1,
    "steps_ahead": 0,
    "prefetch_steps": -1,
    "max_missing_shards": -1,
    "online_cache_bytes": -1,
}


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_number_is_named_alone(name: str, value: Any) -> None:
    """A message with seven numbers leaves the reader to find out which one is wrong."""
    with pytest.raises(InputError, match=rf"^loader\.{name}={value}: ") as error:
        LoaderConfig(**{name: value})
    assert re.findall("|".join(WRONG), str(error.value)) == [name]


def test_zero_switches_reading_ahead_off() -> None:
    """Tests and small machines read one step at a time."""
    assert LoaderConfig(prefetch_steps=0, online_cache_bytes=0).prefetch_steps == 0
