"""An option that would do nothing is refused, and the same option is taken where it does something."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import override, split_flags
from videoar.configs import tokenizer_demo
from videoar.configs.debug import recipe
from videoar.configs.idle_options import DEPENDENCES, refuse_idle_options
from videoar.configs.load import save_recipe
from videoar.pretrain.config import LogConfig

pytestmark = pytest.mark.slow

VALIDATION = "--log.validation clips32 --log.validate-every 5"
FILMS = "--data.datasets.clips32.source.kind folder --data.datasets.clips32.source.path films"
PAIRS = [
    ("--loader.online-cache-bytes 9", "--data.online true"),
    ("--model.text.num-classes 5", "--model.text.kind label"),
    ("--model.text.words a b", "--model.text.kind words"),
    ("--model.text.path x", "--model.text.kind t5"),
    ("--model.text.width 8", "--model.text.kind t5"),
    ("--model.text.encoder-hash 0", "--model.text.kind t5"),
    ("--model.max-frames 8", "--model.rope learned"),
    ("--model.max-side 8", "--model.rope learned"),
    ("--parallel.context-method gather", "--parallel.context 2"),
    ("--parallel.sequence false", "--parallel.tensor 2"),
    ("--stages.video.parallel.sequence false", "--stages.video.parallel.tensor 2"),
    ("--stages.video.plateau-delta 0.1", f"--stages.video.plateau-patience 1 {VALIDATION}"),
    ("--log.validation clips32", "--log.validate-every 5"),
    ("--log.validate-every 5", "--log.validation clips32"),
    ("--log.num-samples 5", "--log.sample-every 5"),
    ("--faults.spike-window 5", "--faults.spike-factor 5"),
    ("--faults.rewind-budget 5", "--faults.spike-factor 5"),
    ("--data.datasets.clips32.source.split 2", FILMS.replace("folder", "ucf101")),
    ("--data.datasets.clips32.source.subset test", FILMS.replace("folder", "ucf101")),
    ("--data.datasets.clips32.source.plugin a:B", FILMS.replace("folder", "plugin")),
    ("--data.datasets.clips32.source.follow-links true", FILMS),
    ("--data.datasets.clips32.source.start-fraction 0.5", FILMS),
    ("--data.datasets.clips32.source.end-fraction 0.5", FILMS),
    ("--data.datasets.all.source.end-fraction 0.5", FILMS),
    ("--data.datasets.clips32.shots.threshold 9", f"{FILMS} --data.datasets.clips32.shots.detector content"),
    ("--data.datasets.clips32.shots.min-shot-s 9", f"{FILMS} --data.datasets.clips32.shots.detector content"),
    ("--data.datasets.clips32.duplicates.max-bits 9", f"{FILMS} --data.datasets.clips32.duplicates.method hash"),
]
"""An option, and the other options with which it has an effect."""
SWITCHED_OFF = [
    (
        "--data.datasets.clips32.captioner.minimum 0.5",
        f"{FILMS} --data.datasets.clips32.captioner.name x --data.datasets.clips32.captioner.plugin a:B",
    ),
    ("--guidance ucf101", "--text-dropout 0"),
    ("--model.text.max-tokens 9", "--model.text.kind label --model.text.num-classes 3"),
    ("--model.rope-base 100", "--model.rope learned"),
    ("--correction.targets stored", "--correction.corruption off"),
    ("--correction.p-max 0.1", "--correction.corruption off"),
    ("--correction.delta 0.1", "--correction.corruption constant"),
    ("--optimizer.final-fraction 0.5", "--optimizer.schedule constant"),
    ("--data.datasets.clips32.source.seed 7", FILMS),
    ("--data.datasets.clips32.source.num-clips 7", FILMS),
]
"""An option, and another that takes its effect away."""


def refuse(words: str) -> None:
    flags = split_flags(words.split())[1]
    refuse_idle_options(recipe(), override(recipe(), flags), flags)


@pytest.mark.parametrize(("option", "others"), PAIRS)
def test_an_option_needs_the_one_it_belongs_to(option: str, others: str) -> None:
    """`--data.datasets.NAME.source.num-clips 5` for a folder would plan all of it, and a person would not know."""
    films = f"{FILMS} " if "shots" in option or "duplicates" in option else ""
    with pytest.raises(InputError, match="has no effect in this recipe; leave it out, or set ") as caught:
        refuse(films + option)
    assert caught.value.field == option.split()[0][2:].replace("-", "_")
    refuse(f"{option} {others}")


@pytest.mark.parametrize(("option", "others"), SWITCHED_OFF)
def test_an_option_is_refused_where_another_takes_its_effect_away(option: str, others: str) -> None:
    """The same in the other direction."""
    with pytest.raises(InputError, match="has no effect in this recipe"):
        refuse(f"{others} {option}")


TOKENIZER_PAIRS = [
    ("--train.adversarial.start-step 5", "--train.adversarial.weight 0.3"),
    ("--train.adversarial.lecam 0.5", "--train.adversarial.weight 0.3"),
    ("--train.adversarial.discriminator video", "--train.adversarial.weight 0.3"),
    ("--train.loss.perceptual-weights vgg16.pth lpips.pth", "--train.loss.perceptual 1"),
]


@pytest.mark.parametrize(("option", "others"), TOKENIZER_PAIRS)
def test_an_option_of_a_tokenizer_needs_the_one_it_belongs_to(option: str, others: str) -> None:
    """LeCAM without a discriminator would be believed to regularise it."""
    named = tokenizer_demo.recipe()
    for words, is_refused in ((option, True), (f"{option} {others}", False)):
        flags = split_flags(words.split())[1]
        with pytest.raises(InputError, match="has no effect in this recipe") if is_refused else nullcontext():
            refuse_idle_options(named, override(named, flags), flags)


def test_every_field_of_the_table_is_a_field() -> None:
    """A renamed field would no longer be looked at."""
    for rule in DEPENDENCES:
        assert {name.split(".")[0] for name in rule.names} <= set(rule.part.__dataclass_fields__)


def test_switching_validation_off_is_an_effect() -> None:
    """A recipe that validates is used without it by one option."""
    refuse("--log.validate-every 0")
    refuse("--log.validation")


def test_validation_of_nothing_is_refused_in_files_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody types it: it is a line of the recipe that looks as if the run were watched."""
    chosen = replace(recipe(), log=LogConfig(validate_every=5))
    save_recipe(chosen, tmp_path / "recipe.yaml")
    assert main(["config", str(tmp_path / "recipe.yaml")]) == 2
    assert capsys.readouterr().err.startswith("log.validate_every=5: has no effect in this recipe")
    assert main(["config", str(tmp_path / "recipe.yaml"), "--log.validation", "clips32"]) == 0


def test_an_option_may_rename_what_it_is_in() -> None:
    """Options are found by the names before the change."""
    refuse("--stages.video.name later --stages.video.steps 3")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "train debug --log.validate-every 5",
            "log.validate_every=5: has no effect in this recipe; leave it out, or set",
        ),
        ("plan debug --force", "force=True: has no effect without --plot; leave it out, or add --plot"),
        ("config debug --overrides --diff demo", "overrides=True: has no effect with --diff; give one of them"),
        ("bench memory --repeats 3", "repeats=3: is not an option of memory"),
        ("bench memory --note busy", "note=busy: has no effect without --output"),
    ],
)
def test_commands_refuse_it_in_one_line(
    words: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is made: a run folder would have to be removed by hand."""
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not list(tmp_path.iterdir())
