"""The pages of docs/: their lines, in order, as somebody types them into a shell, and their snippets of Python.

What is not typed here is listed with what it needs, or with the test that does it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ..data_pipeline.videos import scene, write_frames, write_video
from .shell import blocks, lines, typed

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.name: path.read_text() for path in sorted(DOCS.glob("*.md"))}

NETWORK, STORE = "a network", "an object store of one's own"
MINUTES, HOURS = "minutes to hours of an idle machine", "many GPU-hours, and data that are not ours"
SLURM, RAY, KUBERNETES = "a Slurm cluster", "a Ray cluster", "a Kubernetes cluster"
NAMES = "names in capitals, which stand for a reader's own"

NOT_TYPED: dict[str, dict[str, str]] = {
    "benchmarks.md": {
        "videoar bench attention ": MINUTES,
        "videoar bench train ": "a GPU",
        "videoar bench tokenizer ": MINUTES,
        "make gpu-bundle": NETWORK,
        "scripts/on_gpu.sh": "a GPU",
    },
    "clusters.md": {
        "--run runs/4b      ": SLURM,
        "videoar submit tokenizer_ucf101": SLURM,
        '--to slurm --command "evaluate': SLURM,
        "videoar status": SLURM,
        "videoar logs": SLURM,
        "videoar cancel": SLURM,
        "s3://bucket": STORE,
    },
    "concepts.md": {},
    "evaluation.md": {
        "weights/t2v": HOURS,
        "weights/ucf101_l": HOURS,
        "runs/tokenizer_ucf101": HOURS,
        "UCF-101": "the films of UCF-101",
        "ucfTrainTestlist": "the split files of UCF-101",
        "results/*_eval_results.json": "results of VBench's own program",
        "'l 17x128x128*'": "a GPU",
        "weights/small ": "minutes; README's `evaluate world` is typed",
    },
    "generation.md": {
        "pip install": NETWORK,
        "weights/ucf101_l": HOURS,
        "hf auth login": "a token of the Hugging Face Hub",
        "videoar push weights/my me/my-videos --private": "a token of the Hugging Face Hub",
        "hf download": NETWORK,
        "weights/theirs": NETWORK,
        "videoar selfcheck": "minutes; README's is typed",
    },
    "loading.md": {"RECIPE": NAMES, "WEIGHTS": NAMES},
    "long_runs.md": {},
    "own_recipes.md": {},
    "preparing.md": {
        "s3://bucket": STORE,
        "ray get-auth-token": RAY,
        "ray start": RAY,
        "videoar doctor": RAY,
        "videoar submit t2v_4b --to ray": RAY,
    },
    "ray_and_kubernetes.md": {"--wait": RAY, "--to kubernetes --command": KUBERNETES},
    "recipes.md": {"ucf101_l --output": HOURS, "--data.url shards/ucf101": HOURS},
    "scale.md": {"videoar.benchmarks.scale": "tests/benchmarks/test_scale.py"},
    "study.md": {"videoar study": "hours on a core"},
    "tokenizers.md": {
        "infinity_vae_d32.pth": "the public weights",
        "ucf101": HOURS,
        "vgg16.pth": "the files of LPIPS",
        "--train.parts decoder": "hours on a core; tests/tokenizer/training/test_decoder_alone.py",
        "runs/more-bits": "hours on a core; tests/tokenizer/test_inflate.py",
    },
    "watching.md": {},
    "your_folder.md": {"videoar": "tests/cluster/test_your_folder.py"},
}
"""Parts of the lines of a page that are not typed here, and what they need or which test types them. All other lines of
these pages are typed."""

TYPES_PLANS = "from videoar.data_pipeline.config.datasets import *\nfrom videoar.tokenizer.config import ClipBucket\n\n"
A_TOKENIZER = (
    "import torch\nfrom videoar.tokenizer import VideoTokenizer\n\n"
    "tokenizer, chunks = VideoTokenizer.preset('tiny', latent_dim=16), [torch.zeros(1, 3, n, 32, 32) for n in (5, 4)]\n"
)
SNIPPETS: dict[str, list[str]] = {
    "data.md": ["", TYPES_PLANS],
    "evaluation.md": ["tests/pretrain/evaluate/fvd/test_fvd.py"],
    "generation.md": [""],
    "own_recipes.md": ["tests/scripts/test_site.py", "tests/scripts/test_site.py"],
    "tokenizers.md": [A_TOKENIZER],
}
"""For each snippet of Python of a page: what a reader has typed before, or the test that runs it."""

IN_FRONT: dict[str, Callable[[Path], object]] = {
    "evaluation.md": lambda folder: _two_folders(folder),
    "own_recipes.md": lambda folder: _titled(PAGES["own_recipes.md"], folder),
}
"""What a page needs besides a home (see `home`)."""


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_has_its_place(page: str) -> None:
    """A new page whose lines nobody types, or an excuse for a line that is gone."""
    text, excuses = PAGES[page], NOT_TYPED.get(page, {})
    assert bool(lines(text)) is (page in NOT_TYPED), "list the page in NOT_TYPED, with the lines that are not typed"
    assert [part for part in excuses if not any(part in line for line in lines(text))] == []
    assert len(blocks(text, "python")) == len(SNIPPETS.get(page, [])), "list the snippet in SNIPPETS"


def test_tests_that_do_it_instead_read_the_page() -> None:
    """A test that was moved would leave the page to nobody."""
    reasons = [(page, why) for page, parts in NOT_TYPED.items() for why in parts.values()]
    reasons += [(page, why) for page, parts in SNIPPETS.items() for why in parts]
    instead = [(page, why) for page, why in reasons if why.startswith("tests/")]
    assert instead
    for page, test in instead:
        assert f'"{page}"' in (DOCS.parent / test).read_text(), f"{test} reads {page}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has when a page begins: clips, pictures, prompts, and what README's tour has made."""
    folder = tmp_path_factory.mktemp("home")
    for number in range(2):
        write_frames(folder / f"clips/{'xy'[number]}.mp4", scene(number, 60))
        (folder / f"clips/{'xy'[number]}.txt").write_text(f"soft blobs {number} move left")
    write_frames(folder / "clip.mp4", scene(2, 60))
    write_frames(folder / "first.png", scene(3, 1))
    write_frames(folder / "photo.jpg", scene(4, 1))
    write_video(folder / "film.mp4", num_frames=25 * 81)
    (folder / "prompts.jsonl").write_text('{"prompt": "a red square"}\n{"prompt": "a boat", "seed": 7}\n')
    typed("videoar train debug --run runs/debug", folder)
    typed("videoar export runs/debug weights/debug", folder)
    shutil.copytree(folder / "runs/debug", folder / "runs/my")
    shutil.copytree(folder / "weights/debug", folder / "weights/tuned")
    return folder


@pytest.mark.drill
@pytest.mark.parametrize("page", [page for page, parts in NOT_TYPED.items() if "videoar" not in parts])
def test_every_line_of_a_page_works_in_order(page: str, home: Path, tmp_path: Path) -> None:
    """Lines that parse may still need a file that no line before them makes."""
    folder = tmp_path / "home"
    shutil.copytree(home, folder)
    if page in IN_FRONT:
        IN_FRONT[page](folder)
    for line in lines(PAGES[page]):
        if not any(part in line for part in NOT_TYPED[page]):
            typed(line, folder)


@pytest.mark.drill
@pytest.mark.parametrize("page", [page for page, parts in SNIPPETS.items() if not parts[0].startswith("tests/")])
def test_every_snippet_of_a_page_runs(page: str, home: Path, tmp_path: Path) -> None:
    """It is copied into a program."""
    for before, snippet in zip(SNIPPETS[page], blocks(PAGES[page], "python"), strict=True):
        (tmp_path / "snippet.py").write_text(before + snippet)
        shutil.copytree(home / "weights", tmp_path / "weights", dirs_exist_ok=True)
        typed("python snippet.py", tmp_path)


def _two_folders(folder: Path) -> None:
    """Real clips, of which the last fifth is long enough to be held out, and generated ones."""
    for name in ("clips", "videos"):
        for number in range(2):
            write_frames(folder / name / f"{'xy'[number]}.mp4", scene(number, 25 * 12))


def _titled(text: str, folder: Path) -> None:
    """The files that a page shows, under their names."""
    for part in text.split('```python title="')[1:]:
        name, _, rest = part.partition('"\n')
        (folder / name).write_text(rest.partition("```")[0])
