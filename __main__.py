"""`python -m videoar` is `videoar`."""

from __future__ import annotations

import sys

from videoar.cluster.entry import program

sys.exit(program())
