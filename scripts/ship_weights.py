"""Copy an export, with a card that has its measured figures, to the folder of the weights that ship with the package.

    videoar export runs/small_world weights/small-world --dtype bf16
    videoar evaluate world weights/small-world --out figures/small-world
    python scripts/ship_weights.py weights/small-world figures/small-world runs/small_world

The tokenizer is not copied: it ships by itself, and config.json names it. The curve of the run is copied, too, so that
anyone who trains the recipe again can compare. `--limits` is a file with the card's section on goals that are not met.
The videos in README.md are made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

from videoar.cluster.demo.first_videos import SENTENCES
from videoar.cluster.ground.fields.serialize import to_dict
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.model.pretrained import CARD, CONFIG, INDEX, SHIPPED, read_config
from videoar.pretrain.run_folder import METRICS, read_lines
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.files import shipped_names

CURVE = "curve.jsonl"
EVERY = 5
"""Steps between two points of the curve."""
PICTURES = Path(__file__).parents[1] / "docs" / "images"


def ship(export: Path, figures: Path, run: Path, limits: str) -> Path:
    """Fill `pretrain/weights/NAME`, where NAME is the name of the export's folder."""
    config, report = read_config(export), json.loads((figures / "report.json").read_text())
    tokenizers = {VideoTokenizer.from_pretrained(name).hash: name for name in shipped_names()}
    if config.tokenizer_hash not in tokenizers:
        raise SystemExit(f"tokenizer {config.tokenizer_hash} does not ship; these do: {tokenizers}")
    if to_dict(config.provenance) != report["run"]:
        raise SystemExit(f"{figures} measured other weights: {report['run']}")
    name, out = tokenizers[config.tokenizer_hash], SHIPPED.folder(export.name)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    places = json.loads((export / INDEX).read_text())["weight_map"]
    for file in {INDEX, *places.values()}:
        shutil.copyfile(export / file, out / file)
    shipped = replace(config, shipped_tokenizer=name)
    (out / CONFIG).write_text(json.dumps(to_dict(shipped), indent=1) + "\n")
    (out / CARD).write_text(card(export, figures, name, limits))
    (out / CURVE).write_text("".join(json.dumps(point) + "\n" for point in curve(run)))
    return out


def card(export: Path, figures: Path, tokenizer: str, limits: str) -> str:
    """The card of the export, for weights by name, and with the figures in place of the last training step's."""
    text = (export / CARD).read_text()
    own = text.replace("from_pretrained(folder)", f'from_pretrained("{export.name}")')
    own = own.replace("in `tokenizer/`.", f"which ships as `{tokenizer}`.")
    return "\n\n".join(part.strip() for part in (own, limits, (figures / "card.md").read_text()) if part) + "\n"


def videos(name: str) -> None:
    """Make the videos that README.md shows: the first sample of each sentence of the demo."""
    pipeline = VideoPipeline.from_pretrained(name)
    requests = [Request(prompt=sentence, seed=seed) for seed, sentence in enumerate(SENTENCES)]
    for number, video in enumerate(pipeline.batch(requests)):
        video.save(PICTURES / name / f"{number}.gif")


def curve(run: Path) -> list[dict[str, float]]:
    """Step, loss and bit accuracy of every few steps."""
    lines = [line for line in read_lines(run / METRICS) if line["step"] % EVERY == 0]
    return [{name: round(line[name], 5) for name in ("step", "loss", "bit_accuracy")} for line in lines]


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("export", type=Path)
    options.add_argument("figures", type=Path)
    options.add_argument("run", type=Path)
    options.add_argument("--limits", type=Path)
    chosen = options.parse_args()
    print(ship(chosen.export, chosen.figures, chosen.run, chosen.limits.read_text() if chosen.limits else ""))
    videos(chosen.export.name)
