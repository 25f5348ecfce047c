from __future__ import annotations

import sys
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import override
from videoar.configs.load import find_recipe, load_recipe, recipe_names, save_recipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_read_back_equal(name: str, tmp_path: Path) -> None:
    """A resumed run compares its recipe with the saved one; a field lost on the way would refuse every resume."""
    recipe = find_recipe(name)
    save_recipe(recipe, tmp_path / "config.yaml")
    assert load_recipe(tmp_path / "config.yaml") == recipe
    assert find_recipe(f"{tmp_path}/") == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_costs_and_how_to_run_it(name: str) -> None:
    """A recipe is chosen by its docstring."""
    module = __import__(f"videoar.configs.{name}", fromlist=["recipe"])
    assert "Cost:" in module.__doc__
    assert f" {name}" in module.__doc__
    assert find_recipe(name).name == name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("debgu", r"did you mean debug\?"), ("load", "use one of: "), ("missing.yaml", "give a name in configs/")],
)
def test_a_recipe_that_is_not_there(name: str, remedy: str) -> None:
    """The first word after a command is the one most often mistyped."""
    with pytest.raises(InputError, match=remedy):
        find_recipe(name)


def test_a_binary_file_is_no_recipe(tmp_path: Path) -> None:
    """A checkpoint given for its config.yaml must not end in a traceback."""
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(tmp_path / "x.yaml")


def test_an_unknown_key_of_a_saved_recipe_names_its_file(tmp_path: Path) -> None:
    """A field renamed since the file was written must not be ignored in silence."""
    save_recipe(find_recipe("debug"), tmp_path / "x.yaml")
    text = (tmp_path / "x.yaml").read_text().replace("rope_base:", "rope_bass:")
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match=r"x.yaml: model.rope_bass=.*did you mean rope_base"):
        load_recipe(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t2v_4b@12", "use one of: t2v_4b@8, t2v_4b@64, t2v_4b@512"),
        ("t2v_4b@", "use one of: t2v_4b@8"),
        ("debug@8", "one layout for any number of devices; write debug"),
        ("t2v_4c@8", "t2v_4b"),
    ],
)
def test_a_layout_that_is_not_there(name: str, message: str) -> None:
    """A number of devices nobody has thought of must not get the layout of another."""
    with pytest.raises(InputError, match=message):
        find_recipe(name)


def test_a_python_file_is_a_recipe_with_what_is_next_to_it(tmp_path: Path) -> None:
    """A recipe that is computed should need no second file of its values, wherever the command is typed."""
    (tmp_path / "widths.py").write_text("WIDE = 128\n")
    text = "from dataclasses import replace\nfrom videoar.configs import debug\nfrom widths import WIDE\n"
    text += (
        "def recipe():\n    base = debug.recipe()\n    return replace(base, model=replace(base.model, width=WIDE))\n"
    )
    (tmp_path / "mine.py").write_text(text)
    recipe = find_recipe(str(tmp_path / "mine.py"))
    assert recipe == override(find_recipe("debug"), {"model.width": ["128"]})
    save_recipe(recipe, tmp_path / "config.yaml")
    assert find_recipe(str(tmp_path / "config.yaml")) == recipe
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"has no function recipe\(\)"),
        ("def recipe(): return {}", "returns a dict; let recipe"),
        ("def recipe(:", "cannot be run: invalid syntax"),
        ("import gone_away", "cannot be run: No module named 'gone_away'"),
        (None, "is not a file"),
    ],
)
def test_a_python_file_that_is_no_recipe(text: str | None, problem: str, tmp_path: Path) -> None:
    """A mistake in a person's own file is a line, not the stack of ours."""
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=rf"RECIPE=.*mine.py: {problem}"):
        find_recipe(str(tmp_path / "mine.py"))
