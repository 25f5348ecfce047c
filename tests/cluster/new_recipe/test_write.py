"""Names of folders are a stranger's: what they hold must stay in comments and values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.new_recipe.choose import choose
from videoar.cluster.new_recipe.clips import Clips, look_at
from videoar.cluster.new_recipe.machine import ThisMachine
from videoar.cluster.new_recipe.start import start_from
from videoar.cluster.new_recipe.write import commented
from videoar.configs.debug import recipe
from videoar.configs.load import load_recipe
from videoar.data_pipeline.decoding.client import Probe
from videoar.pretrain.model.pretrained import find_export

from ...exported import MODEL, export_folder

LAPTOP = ThisMachine(cores=2, memory_bytes=8 * 10**9)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["clips\nname: evil", "clips\r\x85\u2028\x1b[31mname: evil", "clips # 'a': \"b\""])
def test_a_name_stays_in_its_comment(tmp_path: Path, path: str) -> None:
    """A folder whose name has a line in it would give the recipe another field."""
    film = Probe(height=64, width=64, fps=8.0, duration_s=9.0)
    clips = Clips(path=path, num_files=1, probes=(film,), captions=(), problems=())
    choice = choose(clips, LAPTOP, "mine")
    (tmp_path / "mine.yaml").write_text(commented(choice, clips, LAPTOP), encoding="utf-8")
    assert load_recipe(tmp_path / "mine.yaml") == choice.recipe
    assert choice.recipe.data.datasets[0].source.path == path


def test_a_folder_whose_name_is_not_text_is_refused() -> None:
    """Recipes are UTF-8: its name cannot be written into one."""
    with pytest.raises(InputError, match=r"CLIPS='\\udcff': is not UTF-8, which recipes need; rename the folder"):
        look_at("\udcff")


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", "a\nb"])
def test_a_name_that_is_a_path_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next command would write outside of runs/."""
    assert main(["init", str(tmp_path), "--name", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("name=")
    assert ": cannot be the name of a file or folder; use one name, of letters" in said
    assert said.count("\n") == 1
    with pytest.raises(InputError, match="name="):
        replace(recipe(), name=name)


@pytest.mark.slow
def test_weights_that_name_files_of_others_are_refused(tmp_path: Path) -> None:
    """`train --init` would open them, minutes after the recipe was written."""
    folder = export_folder(tmp_path / "out", MODEL)
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"head.weight": "../../x"}}')
    with pytest.raises(InputError, match=r"lists \.\./\.\./x, which no export wrote"):
        start_from(str(folder))
    assert start_from("small-world").weights == "small-world"
    assert find_export("small-world").is_dir()
