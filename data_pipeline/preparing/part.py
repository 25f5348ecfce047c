"""A part of the work of `data run`, for jobs of an array: each makes other shards of the same plans."""

from __future__ import annotations

import re
from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short

_WORD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Part:
    """Every `count`-th shard of each plan."""

    number: int = 1
    """From 1 to `count`."""
    count: int = 1

    @staticmethod
    def of(text: str) -> Part:
        """Parse a part such as `2/8`; InputError for any other text."""
        found = _WORD.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError("part", short(repr(text)), "is not a part", "write NUMBER/COUNT, such as 1/8 ... 8/8")
        return Part(int(found[1]), int(found[2]))

    def has(self, shard: int) -> bool:
        """Whether a shard of a plan belongs to this part."""
        return shard % self.count == self.number - 1
