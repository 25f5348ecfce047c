"""The pipeline: from an exported folder and a request to frames."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import TextConfig
from videoar.pretrain.generate import Request, Video, VideoPipeline
from videoar.pretrain.generate.continuation import encode_history, given_frames
from videoar.pretrain.generate.request import LongVideo
from videoar.pretrain.generate.sampler import sample_frames
from videoar.pretrain.generate.video import to_frames
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import ExportConfig
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

pytestmark = pytest.mark.slow

SCHEDULE = ScaleSchedule.named("32x32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_folder(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> VideoPipeline:
    return VideoPipeline.from_pretrained(folder, device="cpu")


def _clip(num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 32, 3), dtype=np.uint8)


def test_words_become_video(pipeline: VideoPipeline, tmp_path: Path) -> None:
    """The published call: shape, rate and file; the same seed gives the same frames, another seed others."""
    video = pipeline(prompt="a boat", num_frames=5, seed=1)
    assert (video.frames.shape, video.frames.dtype, video.fps) == ((5, 32, 32, 3), np.uint8, 8.0)
    assert video.save(tmp_path / "x.mp4").stat().st_size > 500
    assert np.array_equal(video.frames, pipeline("a boat", num_frames=5, seed=1).frames)
    assert not np.array_equal(video.frames, pipeline("a boat", num_frames=5, seed=2).frames)
    assert pipeline("a boat").frames.shape == (9, 32, 32, 3)


def test_an_image_in_another_size(pipeline: VideoPipeline) -> None:
    """One frame is an image; every exported frame size can be asked for."""
    assert pipeline("a boat", schedule="48x48").frames.shape == (1, 48, 48, 3)


def test_a_batch_gives_what_each_request_gives_alone(pipeline: VideoPipeline) -> None:
    """Neighbours of other prompt lengths must not leak into a result."""
    requests = [Request(prompt=prompt, num_frames=5, seed=seed) for seed, prompt in enumerate(("a boat", "", "cat"))]
    together = pipeline.batch(requests)
    for request, video in zip(requests, together, strict=True):
        alone = pipeline.batch([request])[0].frames
        assert np.abs(video.frames.astype(int) - alone).max() <= 1, "the decoder rounds by the batch; bits do not"


def test_streaming_yields_the_same_frames_as_they_are_ready(pipeline: VideoPipeline) -> None:
    """A stream that waited for the end, or lost the decoder's context between chunks, would be no stream."""
    request = Request(prompt="a boat", num_frames=13)
    stream = pipeline.stream(request)
    first = next(stream)
    frames = np.stack([first, *stream])
    assert np.array_equal(frames, pipeline.batch([request])[0].frames)


@pytest.mark.parametrize(("long", "overlap"), [("sliding", None), ("reencode", 1)])
def test_a_long_stream_keeps_nothing(pipeline: VideoPipeline, long: LongVideo, overlap: int | None) -> None:
    """More than 20 s of frames: at the end, of 41 latent frames and their pixels only the last few are alive."""
    request, chunks = Request(prompt="", num_frames=165, guidance=1.0, long=long, overlap=overlap), []
    stream = pipeline.chunks([request])
    for chunk in stream:
        chunks.append(weakref.ref(chunk))
        if len(chunks) == 41:
            alive = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
            latents = sum(one.shape == (1, 16, *SCHEDULE.grid) for one in alive)
    assert len(chunks) == 42
    assert 165 / pipeline.shape(None).fps > 20
    assert sum(one() is not None for one in chunks) <= 3
    assert 0 < latents < 8


def _spied(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor | None]:
    """The history of every sequence that is sampled from now on."""
    histories: list[torch.Tensor | None] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        histories.append(options["history"])
        return sample_frames(*arguments, **options)

    monkeypatch.setattr("videoar.pretrain.generate.pipeline.sample_frames", spy)
    return histories


def test_reencoded_shots_continue_what_was_shown(pipeline: VideoPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history of a shot is encode(the decoded frames before it), and each shot is the continuation of these."""
    histories = _spied(monkeypatch)
    how: dict[str, Any] = {"guidance": 1.0, "temperature": 0.0}
    video = pipeline("a boat", num_frames=21, long="reencode", overlap=5, **how).frames
    assert len(video) == 21
    assert len(histories) == 4
    assert histories[0] is None
    for shot, history in enumerate(histories[1:]):
        end = 9 + 4 * shot
        expected = encode_history(pipeline.tokenizer, SCHEDULE, video[end - 5 : end], torch.device("cpu"))
        assert history is not None
        assert torch.equal(history, expected)
    continued = pipeline("a boat", video=video[4:9], num_frames=9, **how).frames
    assert np.array_equal(video[9:13], continued[5:])


def test_a_reencoded_continuation(pipeline: VideoPipeline) -> None:
    """A given clip is the history of the first shot; draws of a later shot are not those of the first."""
    clip = _clip(5)
    long = pipeline("", video=clip, num_frames=17, long="reencode", overlap=1, seed=3).frames
    assert np.array_equal(long[:9], pipeline("", video=clip, num_frames=9, seed=3).frames)
    again = pipeline("", video=long[8:9], num_frames=9, seed=3).frames
    assert not np.array_equal(again[1:], long[9:])
    pair = pipeline.batch([Request(prompt="", num_frames=13, long="reencode", seed=seed) for seed in (0, 1)])
    alone = pipeline("", num_frames=13, long="reencode", seed=1).frames
    assert np.abs(pair[1].frames.astype(int) - alone).mean() < 1


def test_an_untrained_length_is_said_once(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """In the line that a person sees, and not again for every video of a batch."""
    fresh = VideoPipeline(pipeline.model, pipeline.tokenizer, pipeline.config)
    for seed in range(2):
        fresh("", num_frames=13, seed=seed)
    (line,) = caplog.messages
    assert "long=reencode makes shots of 9 frames" in line
    fresh("", num_frames=13, long="reencode")
    assert len(caplog.messages) == 1


def test_progress_is_told_by_frame_and_scale(pipeline: VideoPipeline) -> None:
    """Every scale of every generated frame once, in order, also over shots; given frames take no scales."""
    done: list[tuple[int, int]] = []
    request = Request(prompt="", num_frames=13, long="reencode", image=_clip(1)[0])
    list(pipeline.stream(request, lambda frame, scale: done.append((frame, scale))))
    assert done == [(frame, scale) for frame in (1, 2, 3) for scale in range(SCHEDULE.num_scales)]


def test_a_negative_prompt_is_led_away_from(pipeline: VideoPipeline) -> None:
    """In place of no text; the prompt itself as its negative is guidance by nothing."""
    plain = pipeline("a boat", num_frames=5, guidance=1.0).frames
    same = pipeline("a boat", negative_prompt="a boat", num_frames=5, guidance=3.0).frames
    assert np.array_equal(same, plain)
    usual = pipeline("a boat", num_frames=5, guidance=9.0).frames
    away = pipeline("a boat", negative_prompt="fog", num_frames=5, guidance=9.0).frames
    assert not np.array_equal(away, usual)
    requests = [Request(prompt="a boat", negative_prompt=text, num_frames=5, guidance=9.0) for text in ("fog", None)]
    for video, alone in zip(pipeline.batch(requests), (away, usual), strict=True):
        assert np.abs(video.frames.astype(int) - alone).mean() < 1


def test_given_frames_come_back_as_the_decoder_rebuilds_them(pipeline: VideoPipeline) -> None:
    """A continuation keeps its history: what the tokenizer makes of the given frames, regardless of what follows."""
    clip = _clip(5)
    bits = encode_history(pipeline.tokenizer, SCHEDULE, clip, torch.device("cpu"))
    rebuilt = to_frames(pipeline.tokenizer.decode(pipeline.tokenizer.dequantize(bits, SCHEDULE)))[0]
    video = pipeline("a boat", video=clip, num_frames=9)
    assert np.abs(video.frames[:5].astype(int) - rebuilt).max() <= 1
    still = pipeline("a boat", image=clip[0], num_frames=5)
    assert np.abs(still.frames[0].astype(int) - rebuilt[0]).max() <= 1


def test_a_continuation_depends_on_the_past_alone(pipeline: VideoPipeline) -> None:
    """Longer requests extend shorter ones: nothing of a frame depends on how many come after it."""
    clip = _clip(5)
    short = pipeline("", video=clip, num_frames=9, guidance=1.0).frames
    long = pipeline("", video=clip, num_frames=17, guidance=1.0).frames
    assert np.array_equal(long[:9], short)


def test_a_file_is_continued_from_its_end(pipeline: VideoPipeline, tmp_path: Path) -> None:
    """A file is as long as it is: the last frames that leave half of the result to generate are kept."""
    path = Video(_clip(15), fps=8.0).save(tmp_path / "given.mp4")
    kept = given_frames(None, path, SCHEDULE, num_frames=17, keep=None, fps=8.0)
    assert kept is not None
    assert kept.shape[0] == 9
    assert given_frames(None, path, SCHEDULE, num_frames=17, keep=5, fps=8.0).shape[0] == 5
    assert given_frames(None, path, SCHEDULE, num_frames=33, keep=None, fps=8.0).shape[0] == 13
    assert pipeline("", video=str(path), num_frames=9).frames.shape == (9, 32, 32, 3)
    assert pipeline("", image=path, num_frames=5).frames.shape == (5, 32, 32, 3)


def test_a_label_model(tmp_path: Path) -> None:
    """One learned token a class; a class that does not exist, or words, are refused."""
    pipeline = VideoPipeline.from_pretrained(
        export_folder(tmp_path, replace(MODEL, text=TextConfig(kind="label", num_classes=3))), device="cpu"
    )
    assert pipeline(label=2, num_frames=1, guidance="ucf101").frames.shape == (1, 32, 32, 3)
    with pytest.raises(InputError, match="label=3: is not one of the classes; use a number from 0 to 2"):
        pipeline(label=3)
    with pytest.raises(InputError, match="give a label"):
        pipeline(prompt="a boat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "prompt=None: must be given"),
        ({"prompt": "a", "label": 1}, "the model was trained on captions"),
        ({"prompt": "a", "image": _clip(1)[0], "video": _clip(5)}, "and video are both given"),
        ({"prompt": "a", "num_frames": 0}, "^num_frames=0: is below 1"),
        ({"prompt": "a", "num_frames": 6}, "^num_frames=6: is not 1 \\+ 4n; use 5 or 9"),
        ({"prompt": "a", "num_frames": 10**9}, "^num_frames=1000000000: is above 100001"),
        ({"prompt": "a", "video": _clip(6)}, "^video=6: is not 1 \\+ 4n"),
        ({"prompt": "a", "video": _clip(5), "given_frames": 4}, "^given_frames=4: is not 1 \\+ 4n"),
        ({"prompt": "a", "video": _clip(9)}, "leaves nothing to generate after the 9 given frames"),
        ({"prompt": "a", "video": _clip(5), "given_frames": 9, "num_frames": 17}, "is more than the 5 frames"),
        ({"prompt": "a", "schedule": "128x128"}, "use one of: 32x32, 48x48"),
        ({"prompt": "a", "guidance": "much"}, "use ucf101, t2v"),
        ({"prompt": "a", "guidance": "nan"}, "^guidance=nan: is not a number"),
        ({"prompt": "a", "guidance": "1,2,3,-1"}, "^guidance=1,2,3,-1: is below 0"),
        ({"prompt": "a", "guidance": float("nan")}, "^guidance=nan: is not text or a number"),
        ({"prompt": "a", "temperature": -1.0}, "^temperature=-1.0: is below 0"),
        ({"prompt": "a", "temperature": float("nan")}, "^temperature=nan: is not a number"),
        ({"prompt": "a", "image": "absent.png"}, "give a video or picture file"),
        ({"prompt": "a", "image": _clip(1)[0], "num_frames": 1}, "^image=.*ask for num_frames of 5 or more"),
        ({"prompt": "a", "given_frames": 5}, "^given_frames=5: has no effect without a video"),
        ({"prompt": "a", "image": _clip(1)[0], "given_frames": 1}, "^given_frames=1: has no effect without a video"),
        ({"prompt": "a", "temperature": 0.0, "top_p": 0.5}, "^top_p=0.5: has no effect with temperature 0"),
        ({"prompt": "a", "negative_prompt": "b", "guidance": 1.0}, "^negative_prompt=b: has no effect with guidance 1"),
        ({"prompt": "a", "window": 0}, "^window=0: is below 1"),
        ({"prompt": "a", "seed": -1}, "^seed=-1: is below 0"),
        ({"prompt": "a", "seed": 2**63}, "^seed=9223372036854775808: is above 9223372036854775807"),
    ],
)
def test_a_request_that_cannot_be_met(pipeline: VideoPipeline, arguments: dict[str, Any], message: str) -> None:
    """Each says which argument, its value and what to give instead."""
    with pytest.raises(InputError, match=message):
        pipeline(**arguments)


def test_a_prompt_that_is_too_long_is_said(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """The end of a caption is where people put what they change; cut in silence, it has no effect and no one knows."""
    pipeline("12345678", num_frames=1, guidance=1.0)
    assert not caplog.messages
    pipeline("123456789", num_frames=1, guidance=1.0)
    assert caplog.messages == ["prompt: the model reads the first 8 of its 9 tokens; the rest is ignored"]


def test_guidance_of_weights_that_have_none_is_said(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """By default it is off; who asks for it learns why the video is noise."""
    config = replace(pipeline.config, guidance="1")
    without = VideoPipeline(pipeline.model, pipeline.tokenizer, config)
    usual = without("a", num_frames=1).frames
    assert np.array_equal(usual, pipeline("a", num_frames=1, guidance=1.0).frames)
    assert not caplog.messages
    without("a", num_frames=1, guidance="t2v")
    assert caplog.messages[0].startswith("guidance=t2v: compares with the model without text")


def test_an_encoder_that_would_not_be_read_is_refused(folder: Path) -> None:
    """Weights that read bytes would ignore it, and the caption would not mean what a person thinks."""
    with pytest.raises(InputError, match="text_encoder=t5: is not read by weights of text kind bytes; leave it out"):
        VideoPipeline.from_pretrained(folder, device="cpu", text_encoder="t5")


def test_half_precision_weights_generate(folder: Path) -> None:
    """bfloat16 weights are what a GPU gets: a float32 tensor meeting one would be an error there only."""
    half = VideoPipeline.from_pretrained(folder, device="cpu", dtype=torch.bfloat16)
    assert half("a boat", num_frames=5).frames.shape == (5, 32, 32, 3)


def test_unlike_requests_are_not_batched(pipeline: VideoPipeline) -> None:
    """Silently taking the first request's settings for all would answer another question."""
    with pytest.raises(InputError, match=r"num_frames.*differs within a batch"):
        pipeline.batch([Request(prompt="a", num_frames=5), Request(prompt="a", num_frames=9)])
    with pytest.raises(InputError, match="differ in their given frames"):
        pipeline.batch([Request(prompt="a"), Request(prompt="a", image=_clip(1)[0])])


def test_the_wrong_tokenizer_is_refused(folder: Path) -> None:
    """Bits of one tokenizer decode to noise in another, with no other sign that something is wrong."""
    model, config = VideoAR.from_pretrained(folder), ExportConfig(model=MODEL, shapes=(clip_shape("32x32", 9),))
    other = VideoTokenizer.preset("tiny", 16, seed=1)
    with pytest.raises(InputError, match="is not the tokenizer abc that made the model's data"):
        VideoPipeline(model, other, replace(config, tokenizer_hash="abc"))
    with pytest.raises(InputError, match="24 bits a token: does not match the 16 of the model"):
        VideoPipeline(model, VideoTokenizer.preset("tiny", 24), config)
    with pytest.raises(InputError, match="names no frame size"):
        VideoPipeline(model, other, replace(config, shapes=()))


def test_a_folder_that_is_not_there() -> None:
    """The commonest mistake is a path."""
    with pytest.raises(InputError, match=r"weights=nowhere: holds no config\.json"):
        VideoPipeline.from_pretrained("nowhere")
