from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import PluginConfig
from videoar.data_pipeline.planning.plugins import ClipScorer, load_plugin

from .. import brightness

pytestmark = pytest.mark.usefixtures("importable")
MODULE = brightness.__name__


@pytest.mark.parametrize(
    ("plugin", "model", "message"),
    [
        ("os:system", "", "is not a ClipScorer"),
        ("videoar.data_pipeline.planning.plugins:ClipCaptioner", "", "is not a ClipScorer"),
        ("no.such.module:Thing", "", "cannot be imported"),
        ("../evil.py:Thing", "", "is not written `package.module:Class`"),
        ("print", "", "is not written `package.module:Class`"),
        (f"{MODULE}:Brightness", "https://example.org/weights", "does not exist"),
        (f"{MODULE}:Brightness", "/no/such/folder", "does not exist"),
    ],
)
def test_what_is_not_a_plugin_is_refused(plugin: str, model: str, message: str) -> None:
    """A saved recipe from a stranger must not call functions, run files or reach the network."""
    with pytest.raises(InputError, match=message):
        load_plugin(PluginConfig(name="s", plugin=plugin, model=model), ClipScorer)
