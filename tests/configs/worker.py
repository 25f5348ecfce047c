"""What each of several processes runs: `videoar train` on every saved recipe of a folder in turn."""

from __future__ import annotations

from pathlib import Path

from videoar.cluster.entry import main


def train_saved(folder: str) -> int:
    """Train the recipes, each into a folder next to it; the first exit code that is not 0."""
    codes = (
        main(["train", str(file), "--run", str(file.with_suffix(""))]) for file in sorted(Path(folder).glob("*.yaml"))
    )
    return next((code for code in codes if code), 0)
