"""What exported weights will do, and whether they belong to the run; their schedules are checked when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from videoar.cluster.ground.finding import Finding
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.diagnose.evidence import Evidence
from videoar.pretrain.model.pretrained import ExportConfig


def guidance(evidence: Evidence) -> Iterator[Finding]:
    """Guidance compares with the model without text, which text dropout trains."""
    dropout, ramp = evidence.recipe.text_dropout, evidence.recipe.exported_guidance
    yield Finding(
        name="guidance",
        state="ok" if dropout else "warn",
        found=f"text_dropout {dropout:g}, so weights are exported with guidance {ramp}",
        remedy="" if dropout else "set text_dropout=0.1 in the next run if you want to generate with guidance",
    )


def exported(evidence: Evidence, config: ExportConfig) -> Iterator[Finding]:
    """Compare config.json of the export with the run."""
    wrong = []
    made_by = {manifest.tokenizer_hash for manifest in evidence.datasets.values()}
    if made_by and config.tokenizer_hash not in made_by:
        wrong.append(f"its tokenizer is {config.tokenizer_hash}, but the data was made by {', '.join(sorted(made_by))}")
    for one in config.provenance.data:
        manifest = evidence.datasets.get(one.dataset)
        if manifest is not None and manifest.hash != one.manifest_hash:
            wrong.append(
                f"its dataset {one.dataset} has hash {one.manifest_hash}, but that of the run has {manifest.hash}"
            )
    if _without_encoder(config.model) != _without_encoder(evidence.recipe.model):
        wrong.append("its model configuration is not that of the run")
    if config.guidance != (wanted := evidence.recipe.exported_guidance):
        wrong.append(
            f"its guidance is {config.guidance}, but text_dropout {evidence.recipe.text_dropout:g} asks for {wanted}"
        )
    yield Finding(
        name="export",
        state="fail" if wrong else "ok",
        found="; ".join(wrong) or f"step {config.provenance.step} of {config.provenance.run}",
        remedy="export this run again" if wrong else "",
    )


def _without_encoder(model: ModelConfig) -> ModelConfig:
    """The model's configuration without encoder hash and path, which a recipe may leave to the data."""
    return replace(model, text=replace(model.text, encoder_hash="", path=""))
