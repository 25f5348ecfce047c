"""`videoar plan` as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs.load import find_recipe
from videoar.pretrain.planner.plan import plan
from videoar.pretrain.planner.report import long_run_line, memory_lines

pytestmark = pytest.mark.slow


def test_every_figure_is_there_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields can be overridden, and devices and an MFU named."""
    assert main(["plan", "ucf101_l", "--json", "--mfu", "0.4"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["gpus"], figures["gpu"], figures["fits"]) == (8, "H200", True)
    assert figures["flops"] == figures["stages"][0]["whole"]["flops"]
    assert figures["tokens_per_s"] * figures["flops_per_token"] == pytest.approx(8 * 0.4 * 989e12)
    assert figures["stages"][0]["time"]["bubble"] == 0.0
    (memory,) = figures["stages"][0]["ranks"]
    assert memory["weights"] == 2 * figures["parameters"]
    assert figures["memory_bytes_per_rank"] == sum(memory.values()) - memory["parameters"]


@pytest.mark.parametrize(
    ("words", "devices"), [(("demo",), "demo on 1 x H200"), (("debug", "--parallel.tensor", "4"), "debug on 8 x H200")]
)
def test_a_plan_for_few_devices(words: tuple[str, ...], devices: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`demo` has one pack per step: an error that eight devices cannot share it would not help."""
    assert main(["plan", *words]) == 0
    assert capsys.readouterr().out.startswith(devices)


def test_the_plan_as_people_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for every dataset, stage and pipeline stage, and the lines on storage and failures at the end."""
    words = ["--gpus", "8", "--gpu", "h100", "--parallel.pipeline", "4", "--stages.III.parallel.pipeline", "2"]
    assert main(["plan", "t2v_4b@64", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "t2v_4b on 8 x H100, 8 in a node"
    assert sum(line.startswith(" I, pipeline stage") for line in lines) == 4
    assert sum(line.startswith(" III, pipeline stage") for line in lines) == 2
    assert any(line.startswith("   clips384") for line in lines)
    assert any(line.startswith(" all ") for line in lines)
    assert any(line.startswith("does not fit") for line in lines)
    assert lines[-1].startswith("a failure every ")


def test_a_small_recipe_is_not_all_zeros(capsys: pytest.CaptureFixture[str]) -> None:
    """Units fit the sizes; and the plan says which devices nobody has named."""
    assert main(["plan", "debug"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("debug on 2 x H200, 8 in a node (assumed, as with --gpus 2 --gpu h200)\n")
    assert "memory of a process, MB" in out
    assert "0.0 GB" not in out
    assert "0.0 min" not in out


def test_a_search_prints_the_options_to_type(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Typed, they give the plan that the search showed. Four devices cannot share the recipe's batch as it is."""
    picture = tmp_path / "plan.svg"
    pytest.importorskip("matplotlib")
    words = ["plan", "debug", "--gpus", "4"]
    assert main([*words, "--search", "--json", "--plot", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    flags = [word for flag in found["search"]["flags"] for word in flag.split(" ")]
    assert flags
    assert main([*words, *flags, "--json"]) == 0
    typed = json.loads(capsys.readouterr().out)
    assert typed == {name: value for name, value in found.items() if name != "search"}
    assert picture.read_text().startswith("<?xml")
    assert main([*words, "--plot", str(picture)]) == 2
    assert "exists; name another file, or add --force" in capsys.readouterr().err


def test_the_plan_of_a_small_tokenizer(capsys: pytest.CaptureFixture[str]) -> None:
    """512 GPUs cannot share two clips, a discriminator is not 0.0 M, and a script is told the recipe."""
    words = ["plan", "tokenizer_demo", "--train.adversarial.weight", "0.1", "--train.adversarial.channels", "8"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tokenizer_demo: 2.2 M parameters, discriminator 44.6 k"
    assert lines[-1].startswith("at 40% of the peak, H200: less than 0.01 H200-hours; 2 in ")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == "tokenizer_demo"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tokenizer_demo", "--gpus", "8"), "train.batch_size=2: is not a multiple of the 8 processes"),
        (("tokenizer_demo", "--search"), "search=True: has no effect: tokenizer_demo trains a tokenizer"),
        (("ucf101_l", "--gpus", "0"), "gpus=0: is below 1"),
        (("ucf101_l", "--gpus", "3"), "is not a multiple of the 3"),
        (("debug", "--gpus", "64", "--gpus-per-node", "3"), "gpus=64: is not a multiple of the 3 devices of a node"),
        (("ucf101_l", "--gpu", "potato"), "use one of: h100, h200"),
        (("ucf101_l", "--mfu", "1.5"), "mfu=1.5"),
        (("t2v_4b@64", "--stages.I.batch", "8"), "is not a multiple of the 64"),
        (("t2v_4b@64", "--search", "--gpus", "7"), "gpus=7: leaves no layout with which stage I fits H200"),
        (("debug", "--plot", "plan.pdf"), "is neither a PNG nor an SVG"),
    ],
)
def test_a_plan_that_is_refused(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 2, as for any wrong input."""
    assert main(["plan", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_lines_are_those_of_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that is computed twice is printed differently one day."""
    assert main(["plan", "ucf101_xl"]) == 0
    found = plan(find_recipe("ucf101_xl"), gpus=8)
    assert capsys.readouterr().out.splitlines()[-4:] == [*memory_lines(found), long_run_line(found)]
