"""Whether exported weights are of this run and its data; what they say of schedules is checked when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from videoar.cluster.ground.finding import Finding
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.model.pretrained import ExportConfig


def exported(evidence: Evidence, config: ExportConfig) -> Iterator[Finding]:
    """What config.json says, held against the run."""
    wrong = []
    made_by = {manifest.tokenizer_hash for manifest in evidence.datasets.values()}
    if made_by and config.tokenizer_hash not in made_by:
        wrong.append(f"tokenizer {config.tokenizer_hash}, the data {', '.join(sorted(made_by))}")
    for one in config.provenance.data:
        manifest = evidence.datasets.get(one.dataset)
        if manifest is not None and manifest.hash != one.manifest_hash:
            wrong.append(f"data {one.dataset} {one.manifest_hash}, the run {manifest.hash}")
    if _without_encoder(config.model) != _without_encoder(evidence.recipe.model):
        wrong.append("another model configuration than the run's")
    yield Finding(
        name="export",
        state="fail" if wrong else "ok",
        found="; ".join(wrong) or f"step {config.provenance.step} of {config.provenance.run}",
        remedy="export this run again" if wrong else "",
    )


def _without_encoder(model: ModelConfig) -> ModelConfig:
    """A recipe may leave to the data which encoder it is, and where it lies."""
    return replace(model, text=replace(model.text, encoder_hash="", path=""))
