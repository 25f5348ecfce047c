"""`videoar tokenizer evaluate`: measure what a tokenizer keeps."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import if_no_clips, parse, typed_as
from videoar.cluster.cli.commands.keeping import Keeping, check_keeping, open_kept, say_part, tell_left_out
from videoar.cluster.cli.commands.tokenizer.weights import TokenizerName, device_of, open_weights
from videoar.cluster.cli.output import in_json, say_facts, telling
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import FramesPerSecond, Limits, OneOrMore, PixelFrames
from videoar.cluster.ground.files import check_folder, refuse_existing

if TYPE_CHECKING:
    import numpy as np
    import torch

    from videoar.data_pipeline.encoding.footage import ChosenClips
    from videoar.pretrain.evaluate.fvd.fvd import FvdResult
    from videoar.pretrain.evaluate.fvd.reconstructions import ReconstructionDistance
    from videoar.pretrain.evaluate.reconstructed import Reconstructions
    from videoar.tokenizer import VideoTokenizer
    from videoar.tokenizer.config import ClipBucket
    from videoar.tokenizer.evaluation.evaluate import Reconstruction
    from videoar.tokenizer.perceptual import Perceptual


@dataclass(frozen=True, kw_only=True)
class EvaluateTokenizer(Keeping):
    """Measure what a tokenizer keeps of the clips in a folder; prints one JSON line if stdout is not a terminal.

    It reports PSNR and SSIM between each clip and its reconstruction from bits: of whole clips, with intervals of 95 %
    over them, by frame, of the motion, and after each scale; the entropy of a bit at each scale (1: a fair coin, 0:
    constant), a histogram over bits and the share of dead ones; and the share of latent frames that repeat the previous
    one. Figures with equal signatures may be compared. An untrained preset is a lower bound:
    `videoar tokenizer evaluate tiny clips/`.

    Exit codes: 0 done, 1 failed, 2 wrong input; with --keep 75 if a signal stopped it (run it again).
    """

    weights: TokenizerName
    """Folder that `videoar tokenizer train` (RUN/tokenizer) or `import` wrote; `demo` or `world`, which ship; or an
    untrained preset: paper, paper-light, paper-2d, infinity-d32, small or tiny."""
    clips: Positional[Annotated[Path, arg(metavar="CLIPS")]]
    """Folder of video or picture files."""
    size: Annotated[str, arg(metavar="HxW")] = "128x128"
    """Frame size in pixels: the name of a scale schedule. Frames of other proportions are scaled until they cover it,
    and their middle is cut out."""
    num_frames: Annotated[PixelFrames, arg(metavar="N")] = 17
    """Pixel frames per clip, 1 + 4n; 1 for pictures."""
    fps: FramesPerSecond = 8.0
    """Frames per second that clips are sampled at."""
    max_clips_per_source: Annotated[OneOrMore, arg(metavar="N")] = 16
    """Use at most N clips of each file, evenly spread over it."""
    start_fraction: Annotated[float, Limits(0, 1, below=True)] = 0.0
    """Skip this share of each file's duration: 0.8 leaves what `tokenizer_demo` held out, 0.9 what
    `tokenizer_small` did."""
    captions: str = ""
    """CSV or JSON lines file that names the files to use, in a column `path`; empty: use all."""
    lpips: tuple[Path, ...] = ()
    """Weights of LPIPS: the files of torchvision's vgg16 and of LPIPS's linear heads."""
    detector: Annotated[str, arg(metavar="PATH|rf-fvd")] = ""
    """Also measure the Fréchet distance between clips and reconstructions (rFVD), with I3D's weights in this file, or
    with random features: `rf-fvd`, which compares tokenizers on the same clips but is not an FVD."""
    skip_scales: bool = False
    """Leave out PSNR after each scale, which takes most of the time."""
    picture: Annotated[Path | None, arg(metavar="OUT.png")] = None
    """Picture to write, of some clips: frames of the original, below them the reconstruction, and below that one frame
    after each scale."""
    picture_clips: Annotated[OneOrMore, arg(metavar="N")] = 4
    """Clips in the picture, evenly spread over all."""
    force: bool = False
    """Replace the picture if it exists."""
    json: bool = False
    """Print JSON on a terminal, too."""


def evaluate(words: Sequence[str], prog: str) -> int:
    options = parse(EvaluateTokenizer, words, prog)
    check_keeping(options)
    _check_picture(options)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.tokenizer.evaluation.evaluate import signature

    left_out: Counter[str] = Counter()
    work, bucket = _open(options, left_out)

    def line(names: Sequence[str]) -> str:
        return signature(work.tokenizer, names, options.size, bucket.num_frames, bucket.fps)

    kept = open_kept(options, line(work.states) + _measures(options, work), work.num_groups)
    with ProgressLine("evaluate") as progress:
        found = work.measured(kept, progress.counting("clips/s"))
    tell_left_out(found, left_out)
    if options.part is not None:
        return say_part(options, len(found.rows), len(work.clips), left_out=left_out)
    figures, rfvd = work.figures(found.rows)
    if options.picture:
        _draw(work, options.picture_clips, options.picture)
    shape = {"size": options.size, "num_frames": bucket.num_frames, "fps": bucket.fps}
    about = {"left_out": dict(left_out), "signature": line([row["key"] for row in found.rows])}
    sure = {name: interval.to_dict() for name, interval in work.intervals(found.rows).items()}
    distance = rfvd and _told(rfvd, as_json=in_json(options.json))
    say_facts({**asdict(figures), **sure, "rfvd": distance, **shape, **about}, asked_json=options.json)
    return 0


def _told(rfvd: FvdResult, *, as_json: bool) -> dict[str, Any] | list[str]:
    """The distance for the output. For few clips, the text is an interval without a number, which would be mostly
    bias."""
    return rfvd.to_dict() if as_json else str(rfvd).splitlines()


def _open(options: EvaluateTokenizer, left_out: Counter[str]) -> tuple[Reconstructions, ClipBucket]:
    """The tokenizer, the clips in their shape, and what is measured."""
    from videoar.pretrain.evaluate.reconstructed import Reconstructions
    from videoar.tokenizer.config import ClipBucket
    from videoar.tokenizer.scales import ScaleSchedule

    tokenizer = open_weights(options.weights)
    with typed_as(schedule="size"):
        bucket = ClipBucket(schedule=options.size, num_frames=options.num_frames, fps=options.fps)
    _check_frames(tokenizer, bucket)
    lpips, distance = _open_lpips(options, device_of(tokenizer)), _open_distance(options, bucket, device_of(tokenizer))
    work = Reconstructions(
        tokenizer=tokenizer,
        clips=_choose(options, bucket, left_out),
        schedule=ScaleSchedule.named(bucket.schedule),
        by_scale=not options.skip_scales,
        lpips=lpips,
        distance=distance,
    )
    return work, bucket


def _measures(options: EvaluateTokenizer, work: Reconstructions) -> str:
    """The measures of each clip, for the record of the folder that keeps them."""
    if options.keep is None:
        return ""
    networks = [hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in options.lpips]
    told = "|by scale" * work.by_scale + f"|lpips={','.join(networks)}" * bool(networks)
    return told + (f"|{work.distance.signature}" if work.distance is not None else "")


def _check_frames(tokenizer: VideoTokenizer, bucket: ClipBucket) -> None:
    """InputError, before the clips are chosen, for videos given to an image tokenizer."""
    if tokenizer.config.temporal_kernel == 1 and bucket.num_frames > 1:
        problem = "does not fit an image tokenizer, which codes one frame at a time"
        raise InputError("num_frames", bucket.num_frames, problem, "add --num-frames 1, or use a video tokenizer")


def _open_lpips(options: EvaluateTokenizer, device: torch.device) -> Perceptual | None:
    from videoar.tokenizer.perceptual import Perceptual

    return Perceptual.from_files(options.lpips, "lpips").eval().to(device) if options.lpips else None


def _open_distance(
    options: EvaluateTokenizer, bucket: ClipBucket, device: torch.device
) -> ReconstructionDistance | None:
    from videoar.pretrain.evaluate.fvd.reconstructions import ReconstructionDistance, open_detector
    from videoar.tokenizer.scales import ScaleSchedule

    if not options.detector:
        return None
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    detector = open_detector(options.detector, device)
    name = options.clips.resolve().name
    return ReconstructionDistance(
        detector, frames=bucket.num_frames, fps=bucket.fps, height=height, width=width, clips=name
    )


def _check_picture(options: EvaluateTokenizer) -> None:
    """InputError, before the work, if the picture cannot be written."""
    if options.picture is None:
        return
    if options.picture.suffix.lower() != ".png":
        raise InputError("picture", options.picture, "is not a .png file", "name one")
    refuse_existing("picture", options.picture, force=options.force)
    check_folder("picture", options.picture.parent)


def _choose(options: EvaluateTokenizer, bucket: ClipBucket, left_out: Counter[str]) -> ChosenClips:
    """The clips of the folder. Counts the reasons why others are left out, and warns once for each reason."""
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.config.datasets import SourceConfig
    from videoar.data_pipeline.encoding.footage import open_clips

    source = SourceConfig(path=str(options.clips), captions=options.captions, start_fraction=options.start_fraction)
    remedy = "give other files, or change --num-frames, --fps or --start-fraction"
    with typed_as(path="clips", captions="captions"), if_no_clips(remedy), ProgressLine("choosing clips") as progress:
        return open_clips(
            source,
            bucket,
            max_clips_per_source=options.max_clips_per_source,
            on_left_out=telling(left_out),
            on_progress=lambda accounts: progress(accounts.num_clips, None, {}),
        )


def _draw(work: Reconstructions, count: int, path: Path) -> None:
    """A picture of some clips, evenly spread over all."""
    from videoar.data_pipeline.encoding.pictures import COLUMNS, contact_sheet, save_png, spread

    examples = work.examples(spread(len(work.clips), count))
    rows = [row for frames, made in examples for row in _rows(work.tokenizer, made, frames)]
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = max(COLUMNS, *(len(row) for row in rows[2::3]))  # every scale is shown
    save_png(contact_sheet(rows, columns), path)


def _rows(tokenizer: VideoTokenizer, made: Reconstruction, frames: np.ndarray) -> list[np.ndarray]:
    """Frames of a clip, the same frames from its bits, and the middle frame after each scale."""
    import numpy as np
    import torch

    from videoar.pretrain.generate.video import to_frames
    from videoar.tokenizer.evaluation.evaluate import after_each_scale

    middle = len(frames) // 2
    with torch.inference_mode():
        steps = [to_frames(video[:, :, middle : middle + 1])[0, 0] for video in after_each_scale(tokenizer, made)]
    return [frames, to_frames(made.decoded)[0], np.stack(steps)]
