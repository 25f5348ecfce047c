"""The pages of the Python interface: the names that public packages export, with their docstrings."""

from __future__ import annotations

PUBLIC = {
    "tokenizer": "Video to bits at every scale, and back.",
    "pretrain.model": "The generator: plain PyTorch for one device.",
    "pretrain.generate": "From weights to video.",
    "data_pipeline": "What `videoar data run` wrote, read without Ray and without the trainer.",
    "data_pipeline.planning.plugins": "Base classes of your own models that see clips while they are planned.",
}
"""Public modules and what each is for."""


_CHOSEN = {"data_pipeline.planning.plugins": ("ClipView", "ClipModel", "ClipScorer", "ClipCaptioner", "ClipEmbedder")}
"""The names to show of a module that exports more than others should use."""


def api_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/; mkdocstrings replaces the line with `:::`."""
    rows = "\n".join(f"- [`videoar.{module}`]({module}.md): {text}" for module, text in PUBLIC.items())
    overview = f"# Python interface\n\nThese names stay; other modules may move.\n\n{rows}\n"
    return {"api/index.md": overview, **{f"api/{module}.md": _page(module) for module in PUBLIC}}


def _page(module: str) -> str:
    members = "".join(f"\n        - {name}" for name in _CHOSEN.get(module, ()))
    options = f"    options:\n      members:{members}\n" if members else ""
    return f"# videoar.{module}\n\n{PUBLIC[module]}\n\n::: videoar.{module}\n{options}"
