"""Run under torchrun: train every saved recipe of a folder in turn, as `videoar train` does; runs lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

from videoar.cluster.entry import main

if __name__ == "__main__":
    for recipe in sorted(Path(sys.argv[1]).glob("*.yaml")):
        if code := main(["train", str(recipe), "--run", str(recipe.with_suffix(""))]):
            sys.exit(code)
