"""What a run directory records: its recipe, curves, events, data and checkpoints, each read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import Sample
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, CorruptCheckpoint, saved_steps, step_name
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import open_manifests, open_text
from videoar.pretrain.evaluate.bits import read_entries, spread
from videoar.pretrain.record.lines import Record, finite, of_steps, of_validation
from videoar.pretrain.run_folder import DATA, EVENTS, METRICS, VALIDATION, checkpoints, read_lines, read_recipe

READ_SAMPLES = 16
"""Number of samples of each dataset whose bits are read, spread over its shards."""
ENOUGH = 10
"""Number of steps after the warm-up before a curve is judged."""


@dataclass(frozen=True)
class Evidence:
    """A run directory. What is slow to read is read on first use, once."""

    run: Path
    recipe: Recipe
    records: tuple[Record, ...]
    """Lines of metrics.jsonl, in the order of steps."""
    validation: tuple[Record, ...]
    events: tuple[Record, ...]
    left_out: int = 0
    """Lines of metrics.jsonl that are not records of steps."""

    @staticmethod
    def read(run: Path) -> Evidence:
        """Read a run's folder. InputError if it is not one."""
        recipe = read_recipe(run)
        lines, validation, events = (_lines(run / name) for name in (METRICS, VALIDATION, EVENTS))
        records = of_steps(lines)
        return Evidence(
            run,
            recipe,
            records=records,
            validation=of_validation(validation),
            events=tuple(event for event in events if isinstance(event.get("event"), str)),
            left_out=len(lines) - len(records),
        )

    @property
    def trained(self) -> list[Record]:
        """Records of steps after the warm-up."""
        return [record for record in self.records if record["step"] >= self.recipe.optimizer.warmup_steps]

    @property
    def recent(self) -> list[Record]:
        """The last tenth of the steps, at least five, of the current stage."""
        stage = [record for record in self.records if record["stage"] == self.records[-1]["stage"]]
        return stage[-max(5, len(self.records) // 10) :]

    @property
    def data_url(self) -> str:
        """Where shards or plans are; without a URL in the recipe they are in the run directory."""
        return self.recipe.data.url.rstrip("/") or str(self.run / DATA)

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Every dataset that the run reads."""
        trained = [part.dataset for stage in self.recipe.stages for part in stage.mixture]
        return tuple(dict.fromkeys([*trained, *self.recipe.log.validation]))

    @cached_property
    def manifests(self) -> dict[str, Manifest | Exception]:
        """Each dataset's manifest, or why it cannot be opened."""
        found: dict[str, Manifest | Exception] = {}
        for name in self.dataset_names:
            try:
                found |= open_manifests(self.recipe, self.data_url, [name])
            except (InputError, OSError) as error:
                found[name] = error
        return found

    @property
    def datasets(self) -> dict[str, Manifest]:
        """The manifests that could be opened."""
        return {name: one for name, one in self.manifests.items() if isinstance(one, Manifest)}

    @cached_property
    def samples(self) -> dict[str, list[Sample] | Exception]:
        """A few samples of each dataset, or why they cannot be read."""
        found: dict[str, list[Sample] | Exception] = {}
        for name, manifest in self.datasets.items():
            try:
                text = open_text(self.recipe, {name: manifest})
                found[name] = read_entries(manifest, text, spread(manifest.entries, READ_SAMPLES))
            except (CorruptShard, InputError, OSError) as error:
                found[name] = error
        return found

    @cached_property
    def root(self) -> Storage:
        """Where the checkpoints are."""
        return checkpoints(self.run, self.recipe)

    @property
    def saved(self) -> Checkpoint | None:
        """The newest undamaged checkpoint: where the run would resume."""
        return self._hashed[0]

    @property
    def damaged(self) -> dict[int, str]:
        """Newer checkpoints that are damaged: the error by step."""
        return self._hashed[1]

    @cached_property
    def _hashed(self) -> tuple[Checkpoint | None, dict[int, str]]:
        """Verify the newest first, every file of it, until one is undamaged."""
        damaged: dict[int, str] = {}
        for step in reversed(saved_steps(self.root)):
            try:
                saved = Checkpoint(self.root.child(step_name(step)))
                saved.verify()
                return saved, damaged
            except CorruptCheckpoint as error:
                if step in saved_steps(self.root):  # otherwise the trainer has removed it in the meantime
                    damaged[step] = str(error)
        return None, damaged


def mean_of(records: Sequence[Record], field: str) -> float | None:
    """Mean of a field over the records in which it is finite."""
    values = _values(records, field)
    return fmean(values) if values else None


def median_of(records: Sequence[Record], field: str) -> float | None:
    """Median of a field over the records in which it is finite."""
    values = _values(records, field)
    return median(values) if values else None


def mean_list(records: Sequence[Record], field: str) -> list[float | None]:
    """Mean of each element of a list field over the records in which it is finite."""
    lists = [record[field] for record in records if isinstance(record.get(field), list)]
    length = max((len(values) for values in lists), default=0)
    columns = (_values([{field: values[i]} for values in lists if i < len(values)], field) for i in range(length))
    return [fmean(column) if column else None for column in columns]


def _values(records: Sequence[Record], field: str) -> list[float]:
    return [value for record in records if (value := finite(record.get(field))) is not None]


def _lines(path: Path) -> tuple[Record, ...]:
    return tuple(read_lines(path)) if path.is_file() else ()
