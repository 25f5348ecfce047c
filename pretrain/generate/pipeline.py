"""VideoPipeline: from a prompt, a label, a picture or a clip to video, with an interface like that of diffusers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Shaped, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.given import check_given
from videoar.pretrain.generate.background import Frames, decoded
from videoar.pretrain.generate.conditions import Conditions, TextSide
from videoar.pretrain.generate.continuation import (
    GivenClip,
    Picture,
    check_image,
    crop_remark,
    encode_history,
    given_frames,
)
from videoar.pretrain.generate.recorded import Recordings
from videoar.pretrain.generate.request import LongVideo, Request, check_equal
from videoar.pretrain.generate.result import Video
from videoar.pretrain.generate.sampler import OnScale, enqueued, sample_frames
from videoar.pretrain.generate.shots import Shot, plan_shots, untrained
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import ClipShape, ExportConfig, find_export, read_config, tokenizer_folder
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule, pixel_frames


class VideoPipeline:
    """A generator with its tokenizer. Every frame that it returns comes from the tokenizer's decoder.

    This includes the given frames of a continuation: they come back as the model saw them, not as they were, so there
    is no visible seam before the generated frames.
    """

    def __init__(
        self,
        model: VideoAR,
        tokenizer: VideoTokenizer,
        config: ExportConfig,
        text_encoder: str | Path | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self.model, self.tokenizer, self.config = model.eval(), tokenizer.eval(), config
        self._open_passes = enqueued if recordings is None else recordings.open
        check_pair(model, tokenizer, config)
        self._text = TextSide(config, text_encoder, model.input.weight.device)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        text_encoder: str | Path | None = None,
        *,
        graphs: bool = False,
    ) -> VideoPipeline:
        """Open a folder that `videoar export` wrote, or weights that ship with the package: `small-world`.

        `text_encoder` is the folder of T5 if it has moved since training.

        Without `device`: the GPU if there is one. Without `dtype`: bfloat16 weights on a GPU, float32 on a CPU. The
        tokenizer stays in float32.

        With `graphs`, on a GPU: the first video of a shape records its passes as CUDA graphs, and later ones repeat
        them (`generate.recorded`). InputError on a CPU.
        """
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        recordings = Recordings.on(device) if graphs else None
        dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        folder = find_export(folder)
        config = read_config(folder)
        model = VideoAR.from_pretrained(folder).to(device, dtype)
        tokenizer = VideoTokenizer.from_pretrained(tokenizer_folder(folder, config)).to(device)
        return cls(model, tokenizer, config, text_encoder, recordings)

    def __call__(
        self,
        prompt: str | None = None,
        *,
        negative_prompt: str | None = None,
        label: int | None = None,
        image: Picture | None = None,
        video: GivenClip | None = None,
        given_frames: int | None = None,
        num_frames: int | None = None,
        long: LongVideo | None = None,
        overlap: int | None = None,
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
            negative_prompt=negative_prompt,
            label=label,
            image=image,
            video=video,
            given_frames=given_frames,
            num_frames=num_frames,
            long=long,
            overlap=overlap,
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
        frames = np.concatenate(list(self.chunks(requests)), axis=1)
        fps = self.shape(requests[0].schedule).fps
        return [Video(of_one, fps) for of_one in frames]

    def stream(self, request: Request, on_scale: OnScale | None = None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the frames of one video as they are decoded, in memory that does not grow with its length.

        `on_scale` is called with the latent frame and the scale, from 0, that are done. The tokenizer decodes in a
        thread while the next frames are generated.
        """
        for chunk in self.chunks([request], on_scale):
            yield from chunk[0]

    @torch.inference_mode()
    def chunks(self, requests: Sequence[Request], on_scale: OnScale | None = None) -> Iterator[Frames]:
        """Yield the pixel frames of one latent frame after another, of all requests: `stream` for a batch."""
        first = requests[0]
        check_equal(requests)
        shape, num_frames = self.shape(first.schedule), self.num_frames(first)
        shots, conditions = plan_shots(first, shape, num_frames), self._text.conditions(requests)
        if (line := self.untrained(first)) is not None:
            self._text.tell(line)
        history = self._history(requests, shape, min(num_frames, pixel_frames(shots[0].num_frames)))
        shown: list[Frames] = []
        for shot, following in zip(shots, [*shots[1:], None], strict=True):
            for index, chunk in enumerate(self._shot(requests, conditions, shot, shape, history, on_scale)):
                if index >= shot.given:
                    shown = [*shown, chunk][-following.given :] if following else []
                    yield chunk
            if following:
                history = self._encoded(np.concatenate(shown, axis=1), following, shape)

    def check(self, request: Request) -> None:
        """InputError for a frame size or a length that these weights cannot make, and for files that are missing."""
        plan_shots(request, self.shape(request.schedule), self.num_frames(request))
        for field, given in (("image", request.image), ("video", request.video)):
            if isinstance(given, (str, Path)):
                check_given(given, field)
        if request.image is not None:
            check_image(request.image, self.num_frames(request))

    def remark(self, requests: Sequence[Request]) -> None:
        """Log, once for all requests, which of their words the model was not trained on."""
        self._text.tell_unknown_words(requests)

    def untrained(self, request: Request) -> str | None:
        """A message about a length or a frame size that was not trained, with what to use; None if there is no
        problem."""
        return untrained(self.shape(request.schedule), self.config.shapes, self.num_frames(request), request.long)

    def num_frames(self, request: Request) -> int:
        """Pixel frames of the result."""
        return self.shape(request.schedule).num_frames if request.num_frames is None else request.num_frames

    def _shot(
        self,
        requests: Sequence[Request],
        conditions: Conditions,
        shot: Shot,
        shape: ClipShape,
        history: Bool[Tensor, "b t tokens k"] | None,
        on_scale: OnScale | None,
    ) -> Iterator[Frames]:
        """Sample and decode the latent frames of a shot, those of `history` first."""
        latents = sample_frames(
            self.model,
            ScaleSchedule.named(shape.schedule),
            conditions.text,
            conditions.sampling,
            num_frames=shot.num_frames,
            window=requests[0].window or self.config.window,
            seeds=[request.seed for request in requests],
            history=history,
            negative=conditions.negative,
            start=shot.start,
            on_scale=on_scale,
            open_passes=self._open_passes,
        )
        return decoded(self.tokenizer, (frame.latent for frame in latents))

    def _encoded(self, frames: Frames, shot: Shot, shape: ClipShape) -> Bool[Tensor, "b t tokens k"]:
        """The history of a shot: the bits of the last decoded frames."""
        schedule, device = ScaleSchedule.named(shape.schedule), self.model.input.weight.device
        last = frames[:, -pixel_frames(shot.given) :]
        return torch.cat([encode_history(self.tokenizer, schedule, of_one, device) for of_one in last])

    def _history(
        self, requests: Sequence[Request], shape: ClipShape, num_frames: int
    ) -> Bool[Tensor, "b t tokens k"] | None:
        schedule, device = ScaleSchedule.named(shape.schedule), self.model.input.weight.device
        bits = []
        for request in requests:
            given = given_frames(
                request.image,
                request.video,
                schedule,
                num_frames=num_frames,
                keep=request.given_frames,
                fps=shape.fps,
                on_size=partial(self._tell_crop, shape.schedule),
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

    def _tell_crop(self, size: str, field: str, height: int, width: int) -> None:
        sizes = [shape.schedule for shape in self.config.shapes]
        if (line := crop_remark(field, height, width, size, sizes)) is not None:
            self._text.tell(line)

    def condition(self, prompt: str) -> Shaped[np.ndarray, "m ..."]:
        """What the model reads of a prompt: token ids, or states of an encoder."""
        return self._text.tokens(Request(prompt=prompt))

    def shape(self, name: str | None) -> ClipShape:
        """A shape of video that the model was trained on."""
        return self.config.shape(name)


def check_pair(model: VideoAR, tokenizer: VideoTokenizer, config: ExportConfig) -> None:
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
