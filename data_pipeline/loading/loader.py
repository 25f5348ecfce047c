"""Steps for the trainer: a background thread plans and reads the next ones, and fetches the shards of later ones."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from types import TracebackType
from typing import Generic, TypeVar

from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.pack_reader import PackReader, Packs
from videoar.data_pipeline.loading.packing import LoaderState, PackPlan, PackSampler, StepPlan
from videoar.data_pipeline.shards.sample import SampleEntry

Content = TypeVar("Content")

LoadedStep = tuple[StepPlan, Content, LoaderState]
"""The plan of a step (the same in all processes), what `build` made of this process's packs, and the state after it."""


def _samples(packs: Packs) -> Packs:
    return packs


class StepLoader(Generic[Content]):
    """Endless iterator over the steps that begin at a state. Use it as a context manager, which ends its thread.

    `mine` gives the indices of this process's packs in a step, e.g. `lambda step: deal(step.packs, shares)[share]`.
    `following` gives the samples of the next stage: their shards are fetched after the shards of coming steps. `build`
    is called in the thread, once for each step and in their order: the trainer receives what it makes of the samples.
    `next` raises the errors of the thread.
    """

    def __init__(
        self,
        sampler: PackSampler,
        reader: PackReader,
        state: LoaderState,
        mine: Callable[[StepPlan], Sequence[int]],
        config: LoaderConfig | None = None,
        following: Callable[[], Iterable[SampleEntry]] | None = None,
        build: Callable[[Packs], Content] = _samples,  # type: ignore[assignment]  # then Content is Packs
    ) -> None:
        config = config or LoaderConfig()
        self._build = build
        self._sampler, self._reader, self._mine, self._following = sampler, reader, mine, following
        self._look_ahead = config.prefetch_steps if reader.fetches else 0
        self._steps: queue.Queue[LoadedStep[Content] | BaseException] = queue.Queue(maxsize=config.steps_ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(state,), name="step-loader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[LoadedStep[Content]]:
        return self

    def __next__(self) -> LoadedStep[Content]:
        if self._closed.is_set():
            raise StopIteration
        item = self._steps.get()
        if isinstance(item, BaseException):
            self._closed.set()
            raise item
        return item

    def close(self) -> None:
        """Stop reading ahead and wait for the thread."""
        self._closed.set()
        self._thread.join()

    def __enter__(self) -> StepLoader[Content]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, state: LoaderState) -> None:
        try:
            for step, packs, after in self._planned(state):
                if self._closed.is_set():
                    return
                self._put((step, self._build(self._reader.read_all(packs)), after))
        except BaseException as error:  # `__next__` raises it
            self._put(error)

    def _planned(self, state: LoaderState) -> Iterator[tuple[StepPlan, list[PackPlan], LoaderState]]:
        """Steps in order, with this process's packs and the state after each; shards of later steps are being
        fetched."""
        waiting: deque[tuple[StepPlan, list[PackPlan], LoaderState]] = deque()
        while True:
            while len(waiting) <= self._look_ahead:
                step, state = self._sampler.next(state)
                packs = [step.packs[index] for index in self._mine(step)]
                if self._look_ahead:
                    self._reader.prefetch(chain.from_iterable(pack.entries for pack in packs))
                waiting.append((step, packs, state))
            if self._following is not None and self._look_ahead:
                self._reader.prefetch(self._following())
                self._following = None
            yield waiting.popleft()

    def _put(self, item: LoadedStep[Content] | BaseException) -> None:
        while not self._closed.is_set():
            try:
                return self._steps.put(item, timeout=0.1)
            except queue.Full:  # the trainer may wait for another process that waits for room in the cache
                self._reader.release()
