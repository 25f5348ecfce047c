"""The figures of a generator on the small world: prompts, continuations, bits, and what its tokenizer alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.fields.serialize import to_dict
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.evaluate.bits import bit_report, bit_row, count_ones
from videoar.pretrain.evaluate.continuation import ClipFrames, continue_clips
from videoar.pretrain.evaluate.kept import KeptRows, Measured, OnDone, Row, in_groups
from videoar.pretrain.evaluate.signature import weights_hash
from videoar.pretrain.evaluate.tokenized import Tokenized, tokenize
from videoar.pretrain.evaluate.world.held_out import NUMBERS, drawn, held_out, reference
from videoar.pretrain.evaluate.world.plan import GIVEN, WorldPlan, lengths, signature, world_shape
from videoar.pretrain.evaluate.world.rows import (
    Numbered,
    as_sample,
    continuation_row,
    follow_prompts,
    judge_continuations,
)
from videoar.pretrain.evaluate.world.score import judge_seen, seen
from videoar.pretrain.evaluate.world.tokenizer_alone import judge_kept, kept_row
from videoar.pretrain.generate import VideoPipeline
from videoar.tokenizer.scales import ScaleSchedule

SHOWN = 2
"""Number of clips of each task that are kept as examples."""
REFERENCE = "reference"

Tell = Callable[[str, int, int], object]
"""Called with the name of the task, the number of finished clips and the number of all its clips."""


Shown = UInt8[np.ndarray, "_f _h _w 3"]
"""A clip to look at, of any length."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Some clips to look at."""

    prompts: list[tuple[str, Shown]]
    """(sentence, what was generated from it)."""
    continued: list[tuple[Shown, Shown, Shown]]
    """(true clip, the same through the tokenizer, its continuation)."""


@dataclass(frozen=True, slots=True)
class WorldEvaluation:
    """All figures, as plain values, and some clips."""

    report: dict[str, Any]
    examples: Examples
    fps: float


@dataclass(frozen=True, slots=True)
class Task:
    """Clips of one kind, which are measured in groups."""

    name: str
    title: str
    """Name of the task in messages."""
    scenes: Sequence[Scene]
    measure: Callable[[Numbered], list[Row]]
    """A row for each of some scenes."""


def evaluate_world(
    pipeline: VideoPipeline, plan: WorldPlan, tell: Tell = lambda name, done, total: None
) -> WorldEvaluation:
    """Measure a generator on held-out scenes of the small world. InputError if its weights cannot make these clips."""
    work = WorldWork(pipeline, plan)
    report = work.report(work.measured(KeptRows(), tell))
    return WorldEvaluation(report, work.examples(), work.shape.fps)


def num_groups(plan: WorldPlan) -> int:
    """Groups of clips: of sentences, of continuations to two lengths, and of the clips for the majority."""
    of_prompts, of_clips = (-(-count // plan.batch) for count in (plan.prompts, plan.clips))
    return len(NUMBERS) * of_prompts + 3 * of_clips


class WorldWork:
    """What is measured of a generator: tasks whose clips are made in groups of plan.batch, and figures of their rows.

    Of the videos only a few examples stay in memory.
    """

    def __init__(self, pipeline: VideoPipeline, plan: WorldPlan) -> None:
        """InputError if the weights cannot make these clips."""
        self.shape = world_shape(pipeline, plan.size)
        self.signature = signature(pipeline, self.shape, plan)
        self._pipeline, self._plan = pipeline, plan
        self._prompts: dict[tuple[str, int], tuple[str, Shown]] = {}
        self._continued: dict[tuple[str, int], tuple[Shown, Shown, Shown]] = {}

    def tasks(self) -> Iterator[Task]:
        """In the order in which they are done."""
        plan = self._plan
        for count, name in NUMBERS.items():
            yield Task(name, name, held_out(plan.seed, plan.prompts, count), partial(self._follow, name))
        clips = held_out(plan.seed, plan.clips)
        for length in lengths(self.shape):
            yield Task(_to(length), f"continuation to {length} frames", clips, partial(self._continue, length))
        yield Task(REFERENCE, "frequencies of bits", reference(plan.seed, plan.clips), self._count)

    def measured(self, kept: KeptRows, tell: Tell = lambda name, done, total: None) -> dict[str, list[Row]]:
        """The rows of each task, of all clips or of those of a part; what is kept is not measured again."""
        return {task.name: self.rows(task, kept, partial(tell, task.title)) for task in self.tasks()}

    def rows(self, task: Task, kept: KeptRows, on_done: OnDone = lambda done, total: None) -> list[Row]:
        """The rows of one task."""
        numbered = list(enumerate(task.scenes))
        return kept.of(
            task.name, numbered, self._plan.batch, lambda some: Measured(task.measure(some), []), on_done
        ).rows

    def report(self, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
        """The figures of all rows, as plain values."""
        shape = self.shape
        return {
            "signature": self.signature,
            "weights": weights_hash(self._pipeline.model),
            "tokenizer": self._pipeline.tokenizer.weights_hash,
            "run": to_dict(self._pipeline.config.provenance),
            "size": shape.schedule,
            "num_frames": shape.num_frames,
            "given_frames": GIVEN,
            "fps": shape.fps,
            "plan": to_dict(self._plan),
            "prompts": {
                name: judge_seen((row["generated"] for row in rows[name]), count) for count, name in NUMBERS.items()
            },
            "tokenizer_alone": {name: judge_kept(rows[name], count) for count, name in NUMBERS.items()},
            "continuations": [judge_continuations(rows[_to(length)]) for length in lengths(shape)],
            "bits": [{"num_frames": length} | self.bits(rows, length) for length in lengths(shape)],
        }

    def bits(self, rows: Mapping[str, Sequence[Row]], length: int) -> dict[str, Any]:
        """Bits of the clips that are continued to a length, predicted from the true bits before them, compared with
        copying and with the majority."""
        of_clips = [row["bits"] for row in rows[_to(length)]]
        ones = np.array([row["ones"] for row in rows[REFERENCE]])
        return bit_report(of_clips, ones, ScaleSchedule.named(self.shape.schedule)).to_dict()

    def examples(self) -> Examples:
        """Clips to look at. Those that were not made now, because all their rows were kept, are made again."""
        for task in self.tasks():
            for group in in_groups(list(enumerate(task.scenes)), self._plan.batch):
                wanted = {(task.name, number) for number, _ in group if number < SHOWN and task.name != REFERENCE}
                if wanted - self._prompts.keys() - self._continued.keys():
                    task.measure(group)
        order = [task.name for task in self.tasks()]

        def in_order(places: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
            return sorted(places, key=lambda place: (order.index(place[0]), place[1]))

        prompts = [self._prompts[place] for place in in_order(self._prompts)]
        return Examples(prompts, [self._continued[place] for place in in_order(self._continued)])

    def _follow(self, name: str, scenes: Numbered) -> list[Row]:
        """Rows of clips that are generated from sentences."""
        made = follow_prompts(self._pipeline, scenes, self.shape, self._plan)
        true, through = self._tokenized(scenes, self.shape.num_frames)
        told = zip(scenes, made, strict=True)
        self._prompts |= {(name, i): (caption(what), clip) for (i, what), clip in told if i < SHOWN}
        fps, clips = self.shape.fps, zip(scenes, made, true, through, strict=True)
        return [
            {"generated": seen(what, clip, fps), **kept_row(what, real, code.decoded, fps)}
            for (_, what), clip, real, code in clips
        ]

    def _continue(self, length: int, scenes: Numbered) -> list[Row]:
        """Rows of continuations to a length, and of the bits of the true clips."""
        true, through = self._tokenized(scenes, length)
        decoded = [clip.decoded for clip in through]
        requests = [self._plan.request(caption(what), i, self.shape.schedule, length) for i, what in scenes]
        made = continue_clips(self._pipeline, true, GIVEN, requests, self._plan.batch)
        clips = list(zip(true, decoded, made, strict=True))
        self._continued |= {(_to(length), i): three for (i, _), three in zip(scenes, clips, strict=True) if i < SHOWN}
        rows = [continuation_row(what, *three) for (_, what), three in zip(scenes, clips, strict=True)]
        return [row | {"bits": of_bits} for row, of_bits in zip(rows, self._bits(scenes, through), strict=True)]

    def _bits(self, scenes: Numbered, clips: Sequence[Tokenized]) -> Iterator[Row]:
        for (number, what), clip in zip(scenes, clips, strict=True):
            sample = as_sample(self._pipeline, number, what, clip, self.shape.schedule)
            yield bit_row(self._pipeline.model, sample, self._pipeline.config.window)

    def _count(self, scenes: Numbered) -> list[Row]:
        """Rows of the clips that the majority is learned from."""
        _, through = self._tokenized(scenes, self.shape.num_frames)
        clips = zip(scenes, through, strict=True)
        samples = [as_sample(self._pipeline, number, what, clip, self.shape.schedule) for (number, what), clip in clips]
        return [{"ones": ones.tolist()} for ones in count_ones(samples)]

    def _tokenized(self, scenes: Numbered, length: int) -> tuple[list[ClipFrames], list[Tokenized]]:
        """Clips of scenes, and the same clips encoded and decoded by the tokenizer."""
        true = drawn([what for _, what in scenes], self.shape, length)
        return true, tokenize(self._pipeline.tokenizer, true, self._plan.batch)


def _to(length: int) -> str:
    """The name of the task that continues clips to a length."""
    return f"continued_to_{length}"
