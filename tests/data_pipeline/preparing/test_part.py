from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.preparing.part import Part


def test_parts_cover_every_shard_once() -> None:
    """A shard that no part has is missing for ever: no job would report it."""
    parts = [Part.of(f"{number}/3") for number in (1, 2, 3)]
    assert [sum(part.has(shard) for part in parts) for shard in range(10)] == [1] * 10
    assert Part().has(7)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "", "-1/3", "1/3/3", "١/٣", "1/３", "1/8\n"])
def test_what_is_no_part_is_refused(text: str) -> None:
    """`--part 0/3`, as an array that counts from 0 would say, made the last part twice and the first never."""
    with pytest.raises(InputError, match=r"part=.*: is not a part; write NUMBER/COUNT"):
        Part.of(text)
