"""The page: a form, the newest frame and then the video of each checkpoint, and what was made before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from videoar.cluster.serve.studio import PROMPT_LETTERS, Checkpoint, Shown, Studio
from videoar.pretrain.generate.files import Progress

TITLE = "VideoAR"
HISTORY = 12
"""Videos that are shown below the form."""
DELETED_S = 24 * 3600
"""Age in seconds at which uploads and copies of videos are deleted; the end of the server deletes them, too."""

History = list[tuple[Path, str]]
Fields = dict[str, gr.components.Component]
"""Inputs by the field of `Request` that they fill."""


def build_page(studio: Studio, waiting: int) -> gr.Blocks:
    """The page of a studio, which makes one video at a time while at most `waiting` requests wait."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(DELETED_S // 24, DELETED_S)) as page:
        gr.Markdown("\n".join([f"# {TITLE}", *(f"- {_described(one)}" for one in studio.checkpoints)]))
        with gr.Row():
            with gr.Column():
                fields = _form(studio)
                with gr.Row():
                    make, stop = gr.Button("Make", variant="primary"), gr.Button("Stop")
            with gr.Column(scale=len(studio.checkpoints)):
                line = gr.Textbox(label="Status", interactive=False, elem_id="status")
                screens = _screens(studio)
        earlier = gr.Gallery(
            label="Earlier videos", columns=6, height=230, fit_columns=False, interactive=False, elem_id="earlier"
        )
        history = gr.State([])
        outputs: list[gr.components.Component] = [line, *screens, earlier, history]
        running = make.click(
            _handler(studio, fields, history),
            inputs={*fields.values(), history},
            outputs=outputs,
            concurrency_limit=1,
            show_progress_on=line,
            api_visibility="private",
        )
        stopping = stop.click(None, cancels=running, queue=False, api_visibility="private")
        stopping.then(lambda: "stopped", outputs=line, queue=False, api_visibility="private")
    page.queue(max_size=waiting)
    return page


def _form(studio: Studio) -> Fields:
    """The inputs that stand for fields of a request; the size of the first checkpoint fills in the length."""
    shape = studio.checkpoints[0].pipeline.shape(studio.sizes[0])
    label = studio.asks_for == "label"
    fields: Fields = (
        {"label": _number("Class", 0, "label", whole=True)}
        if label
        else {"prompt": gr.Textbox(label="Prompt", lines=2, max_length=PROMPT_LETTERS, elem_id="prompt")}
    )
    fields["image"] = gr.File(label="Picture to animate", height=110, elem_id="image")
    fields["video"] = gr.File(label="Clip to continue", height=110, elem_id="video")
    with gr.Row():
        fields["schedule"] = gr.Dropdown(studio.sizes, value=studio.sizes[0], label="Size", elem_id="size")
        fields["num_frames"] = _number("Frames (1 + 4n)", shape.num_frames, "frames", whole=True)
        fields["seed"] = _number("Seed", 0, "seed", whole=True)
    with gr.Row():
        fields["guidance"] = gr.Textbox(
            label="Guidance", info="t2v, ucf101, a constant, or four corners", placeholder="that of the weights"
        )
        fields["temperature"] = _number("Temperature", 1.0, "temperature")
    with gr.Accordion("More", open=False), gr.Row():
        if not label:
            fields["negative_prompt"] = gr.Textbox(label="Negative prompt", max_length=PROMPT_LETTERS)
        fields["top_p"] = _number("Top-p", 1.0, "top-p")
        fields["given_frames"] = gr.Dropdown(
            [("half of the result", ""), *((str(count), count) for count in range(1, shape.num_frames, 4))],
            value="",
            label="Last frames of the clip",
            elem_id="given",
        )
        fields["long"] = gr.Dropdown(
            [("sliding, with a remark", ""), "sliding", "reencode"], value="", label="Longer than in training"
        )
    return fields


def _number(label: str, value: float, elem_id: str, *, whole: bool = False) -> gr.Number:
    """A field for a number, which may be cleared. A field that is empty at the start would be sent as 0."""
    return gr.Number(label=label, value=value, precision=0 if whole else None, elem_id=elem_id)


def _screens(studio: Studio) -> list[gr.components.Component]:
    """A picture, then a video in its place, for each checkpoint, side by side."""
    screens: list[gr.components.Component] = []
    with gr.Row():
        for number, one in enumerate(studio.checkpoints):
            with gr.Column(min_width=200):
                screens.append(gr.Image(label=one.name, interactive=False, elem_id=f"newest-{number}", format="png"))
                screens.append(
                    gr.Video(
                        label=one.name,
                        interactive=False,
                        visible=False,
                        elem_id=f"made-{number}",
                        loop=True,
                        autoplay=True,
                    )
                )
    return screens


def _handler(studio: Studio, fields: Fields, history: gr.State) -> Any:
    """The function that runs when a video is requested: a generator of values for all outputs."""

    def run(values: Mapping[Any, Any], progress: Any = gr.Progress()) -> Iterator[list[Any]]:  # noqa: B008
        filled = {name: values[field] for name, field in fields.items()}
        before: History = values[history]

        def on_progress(number: int, done: Progress) -> None:
            progress((done.done, done.total), desc=f"{studio.checkpoints[number].name}: {done.words}")

        shown = None
        for shown in studio.make(filled, on_progress):
            yield [shown.line, *_on_screens(shown), gr.skip(), gr.skip()]
        if shown is not None and None not in shown.videos:
            now = _added(before, shown, studio, filled)
            yield [shown.line, *_on_screens(shown), now, now]

    return run


def _on_screens(shown: Shown) -> Iterator[Any]:
    for newest, video in zip(shown.newest, shown.videos, strict=True):
        yield gr.update(value=newest, visible=video is None)
        yield gr.update(value=video, visible=video is not None)


def _added(before: History, shown: Shown, studio: Studio, filled: Mapping[str, Any]) -> History:
    """The history with new videos at its beginning, without those that are gone."""
    what = f"{filled.get('prompt', filled.get('label'))!r}, seed {filled['seed'] or 0}"
    names = [f"{what} ({one.name})" if len(studio.checkpoints) > 1 else what for one in studio.checkpoints]
    new = [(video, name) for video, name in zip(shown.videos, names, strict=True) if video is not None]
    return [entry for entry in (*new, *before) if entry[0].exists()][:HISTORY]


def _described(checkpoint: Checkpoint) -> str:
    """Which weights these are, as their export recorded."""
    origin = checkpoint.pipeline.config.provenance
    facts = [f"run {origin.run}"] * bool(origin.run) + [f"step {origin.step}"] + ["moving average"] * origin.ema
    return f"**{checkpoint.name}**: {', '.join(facts)}"
