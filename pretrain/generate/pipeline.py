"""VideoPipeline: from a prompt, a label, a picture or a clip to video, with an interface like that of diffusers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Shaped, UInt8
from torch import Tensor

from videoar.cluster.ground.checks import check_fields, is_utf8
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP, ZeroOrMore
from videoar.pretrain.generate.continuation import GivenClip, Picture, encode_history, given_frames
from videoar.pretrain.generate.guidance import Guidance, parse_guidance
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.generate.video import Video, to_frames
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import TOKENIZER, ClipShape, ExportConfig, read_config
from videoar.pretrain.model.vocabulary import BytesText, LabelText, text_tokens
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

if TYPE_CHECKING:
    from videoar.data_pipeline.text.t5 import LiveText

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Request:
    """What one video is made from, and how."""

    prompt: str | None = None
    """Text, for a model trained on captions; "" is an empty caption."""
    label: ZeroOrMore | None = None
    """Number of the class, for a model trained on labels."""
    image: Picture | None = None
    """First frame to animate."""
    video: GivenClip | None = None
    """Clip to continue."""
    given_frames: PixelFrames | None = None
    """Number of last pixel frames of `video` to continue, 1 + 4n; None: all of an array; of a file half the result."""
    num_frames: PixelFrames | None = None
    """Pixel frames of the result, 1 + 4n, given frames included; None: as in training."""
    schedule: str | None = None
    """Frame size by the name of its scale schedule; None: the first of the exported shapes."""
    guidance: str | float | Guidance | None = None
    """Guidance ramp by name, a constant (1 turns it off), or four corners; None: the exported preset."""
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    seed: DrawingSeed = 0
    window: OneOrMore | None = None
    """Past latent frames a frame sees; None: as in training. A video can have any length: the window moves along."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        if self.prompt is not None and not is_utf8(self.prompt):
            raise InputError("prompt", ascii(self.prompt), "is not UTF-8 text", "give it in UTF-8")
        if self.given_frames is not None and self.video is None:
            raise InputError("given_frames", self.given_frames, "has no effect without a video", "leave it out")
        if self.temperature == 0 and self.top_p < 1:
            raise InputError("top_p", self.top_p, "has no effect with temperature 0", "leave it out")


class VideoPipeline:
    """A generator with its tokenizer. Every frame that it returns comes from the tokenizer's decoder.

    This includes the given frames of a continuation: they come back as the model saw them, not as they were, so there
    is no visible seam before the generated frames.
    """

    def __init__(
        self, model: VideoAR, tokenizer: VideoTokenizer, config: ExportConfig, text_encoder: str | Path | None = None
    ) -> None:
        self.model, self.tokenizer, self.config = model.eval(), tokenizer.eval(), config
        self._text_encoder = text_encoder
        self._cut_prompts: set[object] = set()
        _check_pair(model, tokenizer, config)
        kind = config.model.text.kind
        if text_encoder is not None and kind != "t5":
            raise InputError(
                "text_encoder", text_encoder, f"is not read by weights of text kind {kind}", "leave it out"
            )

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        text_encoder: str | Path | None = None,
    ) -> VideoPipeline:
        """Open a folder that `videoar export` wrote; `text_encoder` is the folder of T5 if it has moved since training.

        Without `device`: the GPU if there is one. Without `dtype`: bfloat16 weights on a GPU, float32 on a CPU. The
        tokenizer stays in float32.
        """
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        model = VideoAR.from_pretrained(folder).to(device, dtype)
        tokenizer = VideoTokenizer.from_pretrained(Path(folder) / TOKENIZER).to(device)
        return cls(model, tokenizer, read_config(folder), text_encoder)

    def __call__(
        self,
        prompt: str | None = None,
        *,
        label: int | None = None,
        image: Picture | None = None,
        video: GivenClip | None = None,
        given_frames: int | None = None,
        num_frames: int | None = None,
        schedule: str | None = None,
        guidance: str | float | Guidance | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        window: int | None = None,
    ) -> Video:
        """Make one video; the arguments are those of `Request`. A seed fixes the result on a device."""
        request = Request(
            prompt=prompt,
            label=label,
            image=image,
            video=video,
            given_frames=given_frames,
            num_frames=num_frames,
            schedule=schedule,
            guidance=guidance,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            window=window,
        )
        return self.batch([request])[0]

    def batch(self, requests: Sequence[Request]) -> list[Video]:
        """Make several videos of one size and length at once; each equals the one made alone, up to rounding."""
        chunks = np.concatenate(list(self._chunks(requests)), axis=1)
        fps = self.shape(requests[0].schedule).fps
        return [Video(frames, fps) for frames in chunks]

    def stream(self, request: Request) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the frames of one video as they are ready, in memory that does not grow with its length."""
        for chunk in self._chunks([request]):
            yield from chunk[0]

    @torch.inference_mode()
    def _chunks(self, requests: Sequence[Request]) -> Iterator[UInt8[np.ndarray, "b _f h w 3"]]:
        """Sample and decode: yield the pixel frames of one latent frame after another."""
        first = requests[0]
        self._check_equal(requests)
        shape = self.shape(first.schedule)
        schedule = ScaleSchedule.named(shape.schedule)
        num_frames = shape.num_frames if first.num_frames is None else first.num_frames
        guidance = self._guidance(first.guidance)
        frames = sample_frames(
            self.model,
            schedule,
            [self._tokens(request) for request in requests],
            Sampling(guidance=guidance, temperature=first.temperature, top_p=first.top_p),
            num_frames=latent_frames(num_frames),
            window=first.window or self.config.window,
            seeds=[request.seed for request in requests],
            history=self._history(requests, schedule, num_frames, shape.fps),
        )
        for pixels in self.tokenizer.decode_stream(frame.latent[:, :, None] for frame in frames):
            yield to_frames(pixels)

    def _history(
        self, requests: Sequence[Request], schedule: ScaleSchedule, num_frames: int, fps: float
    ) -> Bool[Tensor, "b t tokens k"] | None:
        device = self.model.input.weight.device
        bits = []
        for request in requests:
            given = given_frames(
                request.image, request.video, schedule, num_frames=num_frames, keep=request.given_frames, fps=fps
            )
            if given is not None:
                bits.append(encode_history(self.tokenizer, schedule, given, device))
        if not bits:
            return None
        if len(bits) != len(requests) or len({len(part[0]) for part in bits}) > 1:
            raise InputError(
                "requests",
                len(requests),
                "differ in their given frames",
                "put only requests with equally many given frames into a batch",
            )
        return torch.cat(bits)

    def _tokens(self, request: Request) -> Shaped[np.ndarray, "m ..."]:
        """The condition as token ids or states. InputError if it is of the wrong kind."""
        kind = self.config.model.text.kind
        wanted, other = (("label", "prompt"), ("prompt", "label"))[kind != "label"]
        value = getattr(request, wanted)
        trained_on = "captions" if kind != "label" else "labels"
        if (misplaced := getattr(request, other)) is not None:
            problem = f"does not fit: the model was trained on {trained_on}"
            raise InputError(other, misplaced, problem, f"give a {wanted} instead")
        if value is None:
            problem = f"must be given: the model was trained on {trained_on}"
            raise InputError(wanted, value, problem, f"give a {wanted}")
        tokens, text = self._text.encode(value), self._text
        if isinstance(text, LabelText) or value in self._cut_prompts:
            return tokens
        if (whole := text.whole_length(value)) > len(tokens):
            self._cut_prompts.add(value)  # told once
            log.warning(
                "prompt: the model reads the first %d of its %d tokens; the rest is ignored", len(tokens), whole
            )
        return tokens

    def _guidance(self, asked: str | float | Guidance | None) -> Guidance:
        """The ramp that is asked for, or that of the export."""
        exported = parse_guidance(self.config.guidance)
        guidance = exported if asked is None else parse_guidance(asked)
        if exported.is_off and not guidance.is_off:
            log.warning(
                "guidance=%s: compares with the model without text, which these weights were not trained to be "
                "(text_dropout 0); leave it out if the video is noise",
                asked,
            )
        return guidance

    @cached_property
    def _text(self) -> BytesText | LabelText | LiveText:
        """What encodes conditions; a T5 encoder is opened at the first prompt."""
        text = self.config.model.text
        if text.kind != "t5":
            return text_tokens(text)
        from videoar.data_pipeline.text.t5 import LiveText  # needs transformers, which other texts do not

        device = self.model.input.weight.device
        return LiveText(self._text_encoder or text.path, text.max_tokens, text.encoder_hash, device)

    def condition(self, prompt: str) -> Shaped[np.ndarray, "m ..."]:
        """What the model reads of a prompt: token ids, or states of an encoder."""
        return self._tokens(Request(prompt=prompt))

    def shape(self, name: str | None) -> ClipShape:
        """A shape of video that the model was trained on."""
        shapes = {shape.schedule: shape for shape in reversed(self.config.shapes)}
        chosen = self.config.shapes[0].schedule if name is None else name
        if chosen not in shapes:
            raise InputError(
                "schedule",
                chosen,
                "is not a frame size that these weights were trained on",
                f"use one of: {', '.join(reversed(shapes))}",
            )
        return shapes[chosen]

    @staticmethod
    def _check_equal(requests: Sequence[Request]) -> None:
        for field in ("num_frames", "schedule", "guidance", "temperature", "top_p", "window"):
            values = {getattr(request, field) for request in requests}
            if len(values) > 1:
                raise InputError(field, sorted(map(str, values)), "differs within a batch", "batch equal requests")


def _check_pair(model: VideoAR, tokenizer: VideoTokenizer, config: ExportConfig) -> None:
    """The tokenizer must be the one that the model's bits were made with."""
    if not config.shapes:
        raise InputError("weights", "config.json", "names no frame size", "write the folder with `videoar export`")
    if tokenizer.config.latent_dim != model.config.latent_dim:
        raise InputError(
            "tokenizer",
            f"{tokenizer.config.latent_dim} bits a token",
            f"does not match the {model.config.latent_dim} of the model",
            "use the tokenizer that was exported with it",
        )
    if tokenizer.hash != config.tokenizer_hash:
        raise InputError(
            "tokenizer",
            tokenizer.hash,
            f"is not the tokenizer {config.tokenizer_hash} that made the model's data",
            "use the tokenizer/ folder that was exported with it",
        )
