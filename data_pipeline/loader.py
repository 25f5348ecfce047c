"""From plans to samples: reads the packs of this process a few steps ahead, in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from videoar.data_pipeline.clip import PackPlan, Sample, SampleEntry, StepPlan
from videoar.data_pipeline.manifest import Manifest
from videoar.data_pipeline.packing import LoaderState, PackSampler
from videoar.data_pipeline.shards import ShardReader
from videoar.data_pipeline.text import TextTokens

Packs = tuple[tuple[Sample, ...], ...]
LoadedStep = tuple[StepPlan, Packs, LoaderState]
"""A step as all processes know it, the samples of this process's packs, and the state after the step."""


class PackReader:
    """Reads packs of any of the given datasets."""

    def __init__(self, manifests: Sequence[Manifest], text: TextTokens) -> None:
        self._readers = {manifest.name: ShardReader(manifest) for manifest in manifests}
        self._text = text

    def read(self, plan: PackPlan) -> tuple[Sample, ...]:
        """The samples of a pack, in its order."""
        return tuple(self._sample(entry) for entry in plan.entries)

    def close(self) -> None:
        """Close the shards that are open."""
        for reader in self._readers.values():
            reader.close()

    def _sample(self, entry: SampleEntry) -> Sample:
        bits, latent = self._readers[entry.dataset].read(entry)
        return Sample(entry=entry, bits=bits, latent=latent, text=self._text.tokens(entry))


class StepLoader:
    """Endless iterator over steps from a state on; use as a context manager, so that its thread ends with it.

    `mine` picks the packs of this process out of a step, e.g. `lambda step: deal(step.packs, shares)[share]`.
    What goes wrong in the thread is raised by `next`.
    """

    def __init__(
        self,
        sampler: PackSampler,
        reader: PackReader,
        state: LoaderState,
        mine: Callable[[StepPlan], Sequence[int]],
        *,
        ahead: int = 2,
    ) -> None:
        self._sampler, self._reader, self._mine = sampler, reader, mine
        self._steps: queue.Queue[LoadedStep | BaseException] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(state,), name="step-loader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[LoadedStep]:
        return self

    def __next__(self) -> LoadedStep:
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

    def __enter__(self) -> StepLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, state: LoaderState) -> None:
        try:
            while not self._closed.is_set():
                step, state = self._sampler.next(state)
                packs = tuple(self._reader.read(step.packs[index]) for index in self._mine(step))
                self._put((step, packs, state))
        except BaseException as error:  # handed to the consumer, which raises it
            self._put(error)

    def _put(self, item: LoadedStep | BaseException) -> None:
        while not self._closed.is_set():
            try:
                return self._steps.put(item, timeout=0.1)
            except queue.Full:
                continue
