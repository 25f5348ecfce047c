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


def api_pages() -> dict[str, str]:
    """Markdown by the page's place below docs/; mkdocstrings replaces the line with `:::`."""
    pages = {
        f"api/{module}.md": f"# videoar.{module}\n\n{text}\n\n::: videoar.{module}\n" for module, text in PUBLIC.items()
    }
    rows = "\n".join(f"- [`videoar.{module}`]({module}.md): {text}" for module, text in PUBLIC.items())
    return {"api/index.md": f"# Python interface\n\nThese names stay; other modules may move.\n\n{rows}\n", **pages}
