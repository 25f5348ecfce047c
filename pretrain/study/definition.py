"""What a study is: arms that differ in one component, what is measured, and the directions that are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import DrawingSeed, Limits, OneOrMore, PixelFrames, Seed, Temperature
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.pretrain.config import FlipRatio, Recipe
from videoar.pretrain.study.figures import METRICS
from videoar.tokenizer.scales import latent_frames


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to train."""

    name: str
    """Name of the arm, for options, folders and tables."""
    adds: str
    """What it adds to the arm that it is compared with, in a few words."""
    recipe: Recipe
    """How it is trained; the seed is replaced by those of the study."""

    def seeded(self, seed: int, url: str) -> Recipe:
        """The recipe of one run on the shards at a URL."""
        return replace(
            self.recipe,
            name=f"{self.recipe.name}-{self.name}-{seed}",
            seed=seed,
            data=replace(self.recipe.data, url=url),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A direction that was written down before the study ran."""

    metric: str
    """Name of a metric (`figures.METRICS`)."""
    direction: Literal["rises", "falls"]
    """Predicted effect of the added component on the metric."""

    @property
    def sign(self) -> int:
        """+1 or -1."""
        return 1 if self.direction == "rises" else -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """Two arms that are compared, on the same clips and seeds."""

    arm: str
    over: str
    """The arm without the component."""
    predictions: tuple[Prediction, ...]
    """Directions that are judged; all other metrics of the contrast are shown without a verdict."""
    paper: str = ""
    """What the paper reports for this component; empty: nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probes:
    """What is measured of a trained arm, on clips of the small world that no arm was trained on."""

    held: str
    """Dataset of held-out clips, longer than those of training: its first frames are a clip of the trained length."""
    trained_frames: PixelFrames
    """Pixel frames of a training clip."""
    flip_ratios: tuple[FlipRatio, ...] = (0.05, 0.1, 0.2, 0.3)
    """Shares of the history's bits that are flipped (M1), from low to high; the last is also that of M2."""
    p_hidden: Annotated[float, Limits(0, 1, below=True)] = 0.5
    """Probability that a past frame is hidden from a frame (M5)."""
    given_frames: PixelFrames = 5
    """Pixel frames that a continuation is given; it is as long as a training clip (M4)."""
    num_continued: OneOrMore = 64
    """Held-out clips that are continued."""
    num_prompts: OneOrMore = 64
    """Held-out captions that a video is made from."""
    temperature: Temperature = 0.7
    """Temperature of sampling; guidance is off, so that the figures describe the model alone."""
    seed: DrawingSeed = 0
    """Decides, with the seed of a run and the clip, which bits are flipped, which frames hidden and what is sampled."""

    def __post_init__(self) -> None:
        check_fields(self)
        if list(self.flip_ratios) != sorted({*self.flip_ratios, 0.0} - {0.0}) or not self.flip_ratios:
            raise wrong_field(self, "flip_ratios", "do not rise from above 0", "order them, each once")
        if latent_frames(self.given_frames) >= latent_frames(self.trained_frames):
            raise wrong_field(self, "given_frames", "leaves nothing to generate", "give fewer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Everything that a study depends on, except for the choice of arms and seeds that are run."""

    name: str
    """Name of the study and of its folder."""
    arms: tuple[Arm, ...]
    """All arms, the baseline first. They are trained on the same datasets."""
    contrasts: tuple[Contrast, ...]
    """Which arms are compared, and what is predicted."""
    probes: Probes
    """What is measured."""
    seeds: tuple[Seed, ...] = (0, 1, 2)
    """Seeds of the runs of every arm, unless others are asked for."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names) or not names:
            raise InputError("arms", names, "are not distinct names", "name each arm once")
        for contrast in self.contrasts:
            for name in (contrast.arm, contrast.over):
                if name not in names:
                    raise InputError("contrasts", name, "is not an arm of the study", f"use one of: {', '.join(names)}")
            for prediction in contrast.predictions:
                if prediction.metric not in METRICS:
                    raise InputError("predictions", prediction.metric, "is not a metric", f"use {', '.join(METRICS)}")
        if any(arm.recipe.data != self.arms[0].recipe.data for arm in self.arms):
            raise InputError("arms", names, "are trained on different data", "give all the same recipe.data")
        self.held  # noqa: B018  (is there)

    @property
    def held(self) -> DatasetConfig:
        """The held-out dataset."""
        for dataset in self.arms[0].recipe.data.datasets:
            if dataset.name == self.probes.held:
                if dataset.source.kind != "world" or len(dataset.buckets) != 1:
                    raise InputError("probes.held", dataset.name, "needs source.kind=world and one bucket", "set both")
                return dataset
        raise InputError("probes.held", self.probes.held, "is not a dataset of the recipes", "add it to their data")

    def arm(self, name: str) -> Arm:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)

    def chosen(self, names: Sequence[str]) -> tuple[Arm, ...]:
        """The named arms in the study's order; all if none is named."""
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in known:
                raise InputError("arms", name, f"is not an arm of {self.name}", f"use some of: {' '.join(known)}")
        return tuple(arm for arm in self.arms if arm.name in (names or known))
