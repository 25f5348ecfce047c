from __future__ import annotations

import re
from pathlib import Path

import pytest

from videoar.cluster.new_recipe.choose import ON_GPU, choose
from videoar.cluster.new_recipe.clips import Clips
from videoar.cluster.new_recipe.data import nearest_aspect
from videoar.cluster.new_recipe.machine import ThisMachine
from videoar.cluster.new_recipe.write import commented
from videoar.configs.load import load_recipe
from videoar.data_pipeline.decoding.client import Probe
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.planner.plan import plan

pytestmark = pytest.mark.slow

LAPTOP = ThisMachine(cores=2, memory_bytes=8 * 10**9)
H200 = ThisMachine(cores=64, memory_bytes=10**12, gpus=8, gpu="NVIDIA H200", gpu_bytes=141 * 10**9)
SMALL_GPU = ThisMachine(cores=8, memory_bytes=10**11, gpus=1, gpu="NVIDIA T4", gpu_bytes=4 * 10**9)


def folder(
    seconds: float = 60.0, *, fps: float = 25.0, size: tuple[int, int] = (360, 640), count: int = 20, images: int = 0
) -> Clips:
    """A folder of equal films and images."""
    film = Probe(height=size[0], width=size[1], fps=fps, duration_s=seconds)
    image = Probe(height=size[0], width=size[1], fps=0.0, duration_s=0.0, is_image=True)
    return Clips(
        path="clips: my own",
        num_files=count + images,
        probes=(film,) * count + (image,) * images,
        captions=("a boat",) * count,
        problems=(),
    )


@pytest.mark.parametrize(
    ("machine", "clips"),
    [
        (LAPTOP, folder()),
        (LAPTOP, folder(2.0)),
        (LAPTOP, folder(0.1)),
        (LAPTOP, folder(count=0, images=9)),
        (SMALL_GPU, folder(images=9, count=1, size=(64, 48))),
        (H200, folder()),
    ],
    ids=["films", "short", "too short", "images", "both", "on gpus"],
)
def test_what_is_written_is_the_recipe_and_can_be_trained(machine: ThisMachine, clips: Clips, tmp_path: Path) -> None:
    """A file that lacks a field which was meant, or that `train` refuses on the machine it is for."""
    choice = choose(clips, machine, "mine")
    (tmp_path / "mine.yaml").write_text(commented(choice, clips, machine))
    assert load_recipe(tmp_path / "mine.yaml") == choice.recipe
    check_parallel(choice.recipe, max(1, machine.gpus))


@pytest.mark.parametrize("fps", [5.0, 10.0, 24.0, 25.0, 29.97, 60.0])
def test_clips_are_neither_faster_than_their_films_nor_far_from_eight_frames_a_second(fps: float) -> None:
    """Frames that repeat stutter, and a film slower than its bucket is left out."""
    bucket = choose(folder(fps=fps), LAPTOP, "mine").recipe.data.datasets[0].bucket
    assert bucket.fps <= fps / 0.95
    assert 5 <= bucket.fps <= 12


def test_films_are_held_out_only_where_a_clip_fits() -> None:
    """A held-out dataset without clips stops the run; validation on training clips says nothing."""
    long, short = (choose(folder(seconds), LAPTOP, "mine").recipe for seconds in (60.0, 2.0))
    held = long.data.datasets[-1]
    assert (held.name, held.source.start_fraction) == ("held", long.data.datasets[0].source.end_fraction)
    assert long.log.validation == ("held",)
    assert (short.log.validation, short.data.datasets[0].source.end_fraction) == ((), 1.0)


def test_the_model_fits_the_memory_and_the_hours() -> None:
    """Memory is what a first run fails by, after an hour of preparation."""
    clips = folder(600.0, count=500)
    large, small = (choose(clips, machine, "mine", 2.0).recipe for machine in (H200, SMALL_GPU))
    assert large.model.width == ON_GPU.models[0][1]
    assert (small.model.width, small.parallel.recompute) < (large.model.width, "none")
    planned = plan(large, gpus=8, gpu="H200")
    assert planned.fits
    assert planned.hours == pytest.approx(2.0, rel=0.1)


def test_the_aspect_ratio_is_that_of_the_clips() -> None:
    """A square bucket would cut away the sides of every wide film."""
    assert nearest_aspect("256x256", 16 / 9) == "192x336"
    assert nearest_aspect("256x256", 9 / 16) == "336x192"
    assert choose(folder(size=(360, 640)), H200, "mine").recipe.data.datasets[1].bucket.schedule == "192x336"
    assert choose(folder(size=(96, 128)), H200, "mine").recipe.data.datasets[1].bucket.schedule == "128x128"


@pytest.mark.parametrize(("machine", "hours"), [(LAPTOP, 0.2), (LAPTOP, 1.0), (SMALL_GPU, 1.0)])
def test_the_hours_include_the_time_in_which_clips_become_bits(machine: ThisMachine, hours: float) -> None:
    """On a CPU that is a good part of a short training, and came on top of what was promised."""
    choice = choose(folder(600.0, count=500), machine, "mine", hours)
    trained_s = choice.step_s * choice.recipe.num_steps
    assert choice.tokenizing_s > 0.01 * trained_s
    assert trained_s + choice.tokenizing_s == pytest.approx(3600 * hours, rel=0.15)
    written = commented(choice, folder(600.0, count=500), machine)
    assert "of it to turn the clips into bits, by estimate" in written


def test_clips_that_no_step_reaches_are_not_counted() -> None:
    """Hours of film are not tokenized by a training of minutes, and a film of seconds only once."""
    few, some, many = (choose(folder(seconds, count=9), LAPTOP, "mine").tokenizing_s for seconds in (9.0, 1e3, 1e5))
    assert few < some / 2
    assert many == pytest.approx(some, rel=0.1)


def test_the_tokenizer_is_the_one_that_keeps_more() -> None:
    """By the cards of the two: films of 128x128 and 17 frames."""
    said = {}
    for name, before in (("demo", r"130 \| 17"), ("world", "17")):
        card = (Path(__file__).parents[3] / f"tokenizer/weights/{name}/README.md").read_text()
        (films_db,) = re.findall(rf"^\| 128x128 \| {before} \| ([\d.]+)\b", card, re.MULTILINE)
        said[name] = float(films_db)
    assert said["world"] > said["demo"]
    assert choose(folder(), LAPTOP, "mine").recipe.data.tokenizer.path == "world"
