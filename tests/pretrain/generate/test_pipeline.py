"""The pipeline: from an exported folder and a request to frames."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.encoding.pictures import save_png
from videoar.pretrain.config import TextConfig
from videoar.pretrain.generate import Request, Video, VideoPipeline
from videoar.pretrain.generate.conditions import TextSide
from videoar.pretrain.generate.continuation import encode_history, given_frames
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.generate.video import save_mp4, to_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import ExportConfig
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

pytestmark = pytest.mark.slow

SCHEDULE = ScaleSchedule.named("32x32")


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
        ({}, "^prompt: must be given: the model was trained on captions; give a prompt$"),
        ({"video": _clip(5)}, 'give a prompt that says what the video shows, or "" to continue from the video alone$'),
        (
            {"image": _clip(1)[0]},
            'give a prompt that says what the image shows, or "" to continue from the image alone$',
        ),
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


def test_many_prompts_that_are_too_long_are_said_in_a_few_lines(
    pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of hundreds of captions would bury every other line."""
    requests = [Request(prompt=f"{index:09}", num_frames=1, guidance=1.0) for index in range(9)]
    VideoPipeline(pipeline.model, pipeline.tokenizer, pipeline.config).batch(requests)
    assert len(caplog.messages) == 4
    assert all(line.startswith("prompt: the model reads the first 8 of its 9 tokens") for line in caplog.messages)
    assert "Further texts that are too long are not reported" in caplog.messages[-1]


def test_guidance_of_weights_that_have_none_is_said(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """By default it is off; who asks for it learns why the video is noise."""
    config = replace(pipeline.config, guidance="1")
    without = VideoPipeline(pipeline.model, pipeline.tokenizer, config)
    usual = without("a", num_frames=1).frames
    assert np.array_equal(usual, pipeline("a", num_frames=1, guidance=1.0).frames)
    assert not caplog.messages
    without("a", num_frames=1, guidance="t2v")
    assert caplog.messages[0].startswith("guidance=t2v: needs the model without text")


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


def test_a_clip_that_is_continued_has_its_own_guidance(pipeline: VideoPipeline) -> None:
    """Guidance that makes a model follow a sentence draws a future over the one that the past shows."""
    config = replace(pipeline.config, guidance="6", continued_guidance="1")
    side = TextSide(config, None, torch.device("cpu"))

    def used(**fields: Any) -> Guidance:
        return side.conditions([Request(prompt="a boat", **fields)]).sampling.guidance

    assert used() == used(image=_clip(1)[0]) == Guidance.constant(6.0)
    assert used(video=_clip(5)) == Guidance.constant(1.0)
    assert used(video=_clip(5), guidance=3.0) == Guidance.constant(3.0)


def test_words_that_were_never_trained_on_are_told(pipeline: VideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """A zebra comes out as something else; who asked for it should know why."""
    text = TextConfig(kind="words", words=("a", ",", "square", "red"), max_tokens=32)
    config = replace(pipeline.config, model=replace(pipeline.config.model, text=text))
    side = TextSide(config, None, torch.device("cpu"))
    prompts = ("a Red zebra, a red square!", "A Zebra", "a red boat")
    for _ in range(2):  # a batch, and the next one with the same prompts
        side.conditions([Request(prompt=prompt) for prompt in prompts])
    assert caplog.messages == [
        "prompt: the model was not trained on zebra, boat; the words it was trained on: a, red, square"
    ]
    caplog.clear()
    side.conditions([Request(prompt="A red square, a boat", negative_prompt="fog", guidance=3.0)])
    assert caplog.messages == ["prompt: the model was not trained on fog"], "the words it knows were listed before"


def test_what_is_cut_off_a_picture_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The half of a wide picture that nobody sees any more was left out in silence."""
    pipeline = VideoPipeline.from_pretrained(export_folder(tmp_path / "weights"), device="cpu")
    wide = np.zeros((30, 60, 3), np.uint8)
    save_png(wide, tmp_path / "wide.png")
    save_mp4(wide[None].repeat(5, axis=0).swapaxes(1, 2), tmp_path / "high.mp4", 8.0)
    for given in ({"image": tmp_path / "wide.png"}, {"image": wide[:, ::-1]}):
        caplog.clear()
        pipeline(prompt="a", num_frames=5, **given)
        assert caplog.messages == [
            "image: the middle 30x30 of its 30x60 pixels (height x width) is used for frames of 32x32, and 50% is cut "
            "off at the sides; add borders to the image to keep all, or crop it yourself"
        ]
        pipeline._text._told.clear()
    caplog.clear()
    pipeline(prompt="a", num_frames=9, video=tmp_path / "high.mp4")
    assert caplog.messages[0].startswith("video: the middle 30x30 of its 60x30 pixels")
    assert "cut off at top and bottom" in caplog.messages[0]
    caplog.clear()
    pipeline(prompt="a", num_frames=5, image=np.zeros((64, 64, 3), np.uint8))
    assert not caplog.messages


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("dtype", "tolerance", "share"), [(torch.float32, 1e-2, 0.995), (torch.bfloat16, 0.1, 0.97)])
def test_a_gpu_makes_what_a_cpu_makes(folder: Path, dtype: torch.dtype, tolerance: float, share: float) -> None:
    """The logits of a frame are near those of the CPU in float32, and nearly all bits drawn from them are the same."""
    text, how = [np.arange(1, 6)], {"num_frames": 3, "window": 2, "seeds": (0,)}
    sampling = Sampling(guidance=Guidance.constant(3.0))
    places = {"cpu": torch.float32, "cuda": dtype}
    bits, logits = {}, {}
    for device, of_device in places.items():
        model = VideoPipeline.from_pretrained(folder, device=device, dtype=of_device).model
        assert model.input.weight.dtype == of_device
        frames = list(sample_frames(model, SCHEDULE, text, sampling, **how))
        bits[device] = torch.stack([frame.bits for frame in frames]).cpu()
        decoder = CachedDecoder(model, SCHEDULE, text, num_frames=1, window=2)
        generator = torch.Generator().manual_seed(0)
        features = torch.randn(1, SCHEDULE.tokens_per_frame, model.config.latent_dim, generator=generator)
        with torch.inference_mode():
            logits[device] = decoder.frame_logits(features.to(device)).float().cpu()
    scale = logits["cpu"].abs().max()
    assert (logits["cuda"] - logits["cpu"]).abs().max() <= tolerance * scale
    assert (bits["cuda"][0] == bits["cpu"][0]).float().mean() >= share
    assert bits["cuda"].float().mean() == pytest.approx(float(bits["cpu"].float().mean()), abs=0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_takes_bf16_unless_told(folder: Path) -> None:
    """Frames of the published call, from weights in bf16; the tokenizer stays in float32."""
    pipeline = VideoPipeline.from_pretrained(folder)
    assert (pipeline.model.input.weight.device.type, pipeline.model.input.weight.dtype) == ("cuda", torch.bfloat16)
    assert {parameter.dtype for parameter in pipeline.tokenizer.parameters()} == {torch.float32}
    video = pipeline("a boat", num_frames=5, seed=1)
    assert video.frames.shape == (5, 32, 32, 3)
    assert np.array_equal(video.frames, pipeline("a boat", num_frames=5, seed=1).frames)
