"""`videoar evaluate fvd`: the Fréchet video distance of two folders of videos."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import only_with, parse, typed_as
from videoar.cluster.cli.output import in_json, say, telling
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import DrawingSeed, FramesPerSecond, OneOrMore
from videoar.cluster.ground.files import check_folder

if TYPE_CHECKING:
    from videoar.data_pipeline.decoding.client import VideoDecoder
    from videoar.pretrain.evaluate.folder_features import FolderFeatures
    from videoar.pretrain.evaluate.fvd.detector import ClipFeatures
    from videoar.pretrain.evaluate.fvd.protocol import Protocol
    from videoar.pretrain.evaluate.video_folder import FolderClip, OnDone

_FIXED = ("size", "num_frames", "fps", "clip", "fit", "resize")
"""Options that a published protocol fixes."""


@dataclass(frozen=True, kw_only=True)
class EvaluateFvd:
    """Measure the Fréchet distance between the videos of two folders, with an interval of 95 % and a signature.

    `videoar evaluate fvd REAL GENERATED --protocol omni17 --split test01 --detector i3d_pretrained_400.pt`
    `videoar evaluate fvd REAL GENERATED --detector rf-fvd --few-clips` needs no weights; for trends in one setting.

    Fewer than 2,048 clips in a folder are refused without --few-clips: their distance is mostly a bias. Figures with
    equal signatures may be compared. Prints text on a terminal, and otherwise one JSON line.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --features 75 if a signal stopped it (run it again).
    """

    real: Positional[Annotated[Path, arg(metavar="REAL")]]
    """Folder of real videos."""
    generated: Positional[Annotated[Path, arg(metavar="GENERATED")]]
    """Folder of generated videos."""
    detector: Annotated[str, arg(metavar="PATH|rf-fvd")]
    """File with I3D's weights (i3d_pretrained_400.pt, or its safetensors); a TorchScript file (i3d_torchscript.pt),
    which is a program and is run; or `rf-fvd`: random features, which do not give an FVD."""
    protocol: Literal["tats", "styleganv", "magvit", "omni17", "custom"] = "custom"
    """Published protocol, which fixes frames, size and counts; or `custom`, which the options below define."""
    split: Annotated[str | None, arg(metavar="NAME")] = None
    """Name of the real set for the signature, such as test01; with protocol custom, the name of its folder if not
    given."""
    captions: str = ""
    """CSV or JSON lines file that names the real videos to use, in a column `path`; empty: use all."""
    size: Annotated[str | None, arg(metavar="HxW")] = None
    """Frame size in pixels, with protocol custom: the name of a scale schedule; 128x128 if not given."""
    num_frames: Annotated[OneOrMore | None, arg(metavar="N")] = None
    """Consecutive frames of a clip, with protocol custom; 17 if not given."""
    fps: FramesPerSecond | None = None
    """Frames per second that videos are sampled at, with protocol custom; every frame if not given."""
    clip: Literal["random", "centre", "first"] | None = None
    """Which frames of a longer video are compared, with protocol custom; the central ones if not given."""
    fit: Literal["crop", "stretch"] | None = None
    """How frames are resized, with protocol custom: `crop` scales them until they cover the size and cuts out the
    centre (if not given), `stretch` scales height and width independently."""
    resize: Literal["bicubic", "lanczos", "bilinear"] | None = None
    """Filter for resizing frames, with protocol custom; bicubic, as in training, if not given."""
    few_clips: bool = False
    """Also compare fewer than 2,048 clips of a folder: the text then has a warning, and an interval without a
    number."""
    features: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder that keeps the features of clips: rerunning resumes, and other comparisons reuse those of the real set."""
    part: Annotated[str | None, arg(metavar="N/COUNT")] = None
    """With --features: compute only this part of the features, 1/COUNT to COUNT/COUNT; then run without it."""
    seed: DrawingSeed = 0
    """Seed of the choice of videos and clips, and of the interval."""
    batch: Annotated[OneOrMore, arg(metavar="N")] = 8
    """Clips that the detector reads at once."""
    json: bool = False
    """Print the JSON line on a terminal, too."""


def fvd(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateFvd, words, prog)
    only_with(options, "features", "part")
    if options.features is not None:
        check_folder("features", options.features)
    return _run(options)


def _run(options: EvaluateFvd) -> int:
    import torch

    from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder
    from videoar.data_pipeline.preparing.part import Part
    from videoar.pretrain.evaluate.folder_features import FolderFeatures
    from videoar.pretrain.evaluate.fvd.fvd import check_shape, compare, joined
    from videoar.pretrain.evaluate.fvd.reconstructions import open_detector

    part = Part() if options.part is None else Part.of(options.part)
    detector = open_detector(options.detector, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    protocol = protocol_of(options)
    with typed_as(frames="num_frames", **{"height x width": "size"}):
        check_shape(detector, protocol)
    left_out: dict[str, Counter[str]] = {"real": Counter(), "generated": Counter()}
    with VideoDecoder(DecodeLimits()) as decoder:
        chosen = {kind: _chosen(options, kind, protocol, decoder, left_out[kind]) for kind in left_out}
        computing = FolderFeatures(detector, protocol, decoder, batch=options.batch, kept=options.features, part=part)
        found = {kind: _features(computing, kind, chosen[kind], left_out[kind]) for kind in left_out}
    if options.part is not None:
        counts = {kind: sum(map(len, features)) for kind, features in found.items()}
        say(json.dumps({**counts, "part": options.part, "features": str(options.features), "left_out": left_out}))
        return 0
    real, generated = (joined(features, detector, kind) for kind, features in found.items())
    result = compare(real, generated, detector, protocol)
    as_json = in_json(options.json)
    say(json.dumps({**result.to_dict(), "protocol": protocol.name, "left_out": left_out}) if as_json else str(result))
    return 0


def protocol_of(options: EvaluateFvd) -> Protocol:
    """The published protocol, or that of the options, which have defaults."""
    with typed_as(frames="num_frames", split="split"):
        return _protocol(options)


def _protocol(options: EvaluateFvd) -> Protocol:
    from videoar.pretrain.evaluate.fvd.protocol import Protocol, named, split_named
    from videoar.tokenizer.scales import ScaleSchedule

    if options.protocol != "custom":
        for name in _FIXED:
            if getattr(options, name) is not None:
                problem = f"is fixed by protocol {options.protocol}"
                raise InputError(name, getattr(options, name), problem, "leave it out, or use protocol custom")
        return named(options.protocol, split=options.split, seed=options.seed)
    with typed_as(schedule="size"):
        height, width = ScaleSchedule.named(options.size or "128x128").pixels
    return Protocol(
        frames=options.num_frames or 17,
        fps=options.fps,
        height=height,
        width=width,
        fit=options.fit or "crop",
        resize=options.resize or "bicubic",
        split=split_named(options.real.resolve().name) if options.split is None else options.split,
        clip=options.clip or "centre",
        seed=options.seed,
    )


def _chosen(
    options: EvaluateFvd, kind: str, protocol: Protocol, decoder: VideoDecoder, left_out: Counter[str]
) -> list[FolderClip]:
    """The clips of one of the folders. InputError for few, unless the user has said that this is meant."""
    from videoar.pretrain.evaluate.fvd.protocol import ENOUGH
    from videoar.pretrain.evaluate.video_folder import choose_clips

    if kind == "generated":
        protocol = replace(protocol, repeats_videos=False)  # a repeated video would be no new sample
    folder, captions = getattr(options, kind), options.captions if kind == "real" else ""
    with typed_as(videos=kind, path=kind, captions="captions"), _progress(f"choosing {kind} clips") as on_done:
        clips = choose_clips(
            folder, protocol, decoder, captions=captions, on_done=on_done, on_left_out=telling(left_out)
        )
    if len(clips) < 2:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in left_out.most_common(3))
        problem = f"has {len(clips)} videos that a clip can be taken from" + (f" ({reasons})" if reasons else "")
        raise InputError(kind, folder, problem, "give others, or with protocol custom a smaller --num-frames")
    if len(clips) < ENOUGH and not options.few_clips:
        problem = f"has {len(clips)} clips, and the distance of fewer than {ENOUGH} is mostly a bias"
        raise InputError(kind, folder, problem, "give more, or add --few-clips for an interval with a warning")
    return clips


def _features(
    computing: FolderFeatures, kind: str, clips: Sequence[FolderClip], left_out: Counter[str]
) -> list[ClipFeatures]:
    with _progress(f"features of {kind} clips") as on_done:
        return computing.of(clips, on_done=on_done, on_left_out=telling(left_out))


@contextmanager
def _progress(title: str) -> Iterator[OnDone]:
    """Shows how many of the files or clips are done, and at which rate."""
    from videoar.cluster.ground.progress import ProgressLine

    with ProgressLine(title) as line:
        yield line.counting("per_s")
