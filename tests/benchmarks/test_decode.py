"""The decoding benchmark samples real clips, and counts what each pass must read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from videoar.benchmarks import decode
from videoar.benchmarks.cases import Options
from videoar.benchmarks.decode import CASES, rows
from videoar.benchmarks.growing_cache import growing
from videoar.benchmarks.material import model_of
from videoar.benchmarks.measure import Cost
from videoar.benchmarks.naive_decode import naive_bits
from videoar.pretrain.generate.recorded import Recordings, rerun
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.guidance import Guidance
from videoar.pretrain.model import VideoAR, init_weights
from videoar.tokenizer.scales import ScaleSchedule


@pytest.mark.slow
def test_a_clip_is_sampled_in_frames_times_scales_passes() -> None:
    """Two frames of four scales are eight passes over the weights, and one reads the text."""
    (row,) = rows(Options(size="toy", patterns=("*batch 1",), repeats=1, device=torch.device("cpu")))
    case = CASES["toy"]["64x64 batch 1"]
    assert row["passes"] == 8
    assert row["pass_s"] == row["wall_s"] / 8
    assert row["over_naive"] == row["wall_s"] / row["naive_s"]
    assert row["over_growing"] == row["wall_s"] / row["growing_s"]
    assert min(row["process_over_naive"], row["process_over_growing"]) > 0
    weights = 4 * (2 * 16 * 64**2 + 2 * 64 * case.model.latent_dim)
    # Keys and values of two layers and branches: of the text, then those seen by each scale of each frame.
    seen = 8 + sum(8 + past + end for past in (0, 30) for end in (1, 5, 14, 30))
    assert row["size_bytes"] == 9 * weights + 2 * 2 * 2 * 64 * 4 * seen


@pytest.mark.slow
def test_recorded_passes_are_measured_next_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are graphs: the ratio is of one call, in which both take turns."""
    options = Options(size="toy", patterns=("*batch 8",), repeats=1, device=torch.device("cpu"))
    (row,) = rows(options)
    assert "graphs_s" not in row, "a CPU has none"
    monkeypatch.setattr(decode, "_recordings", lambda device: Recordings(lambda: rerun))
    (row,) = rows(options)
    assert row["graphs_over_eager"] == row["graphs_s"] / row["wall_s"] > 0


def test_passes_alone_are_those_of_sampling() -> None:
    """The same number of tokens through the model: otherwise the rest of the time is no overhead."""
    case = CASES["toy"]["64x64 batch 8"]
    model, seen = VideoAR(case.model).eval(), list[tuple[int, ...]]()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].features.shape)))
    decode._decode(case, model)
    passes = case.passes + 1
    assert len(seen) == passes
    decode._run_model(case, model)
    assert seen[passes:] == seen[:passes]


def test_throughput_ends_where_a_larger_batch_gives_hardly_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve is seen to be flat at its end, and no batch beyond is paid for."""
    rates = {1: 1.0, 2: 1.9, 4: 3.0, 8: 3.2}
    monkeypatch.setattr(decode, "alternate", lambda calls, rounds: {"decode": []})
    monkeypatch.setattr(
        decode, "_figures", lambda name, case, *_: {"case": name, "batch": case.batch, "clips_per_s": rates[case.batch]}
    )
    found = list(rows(Options(size="toy", patterns=("*throughput",), device=torch.device("cpu"))))
    assert [(row["subject"], row["clips_per_s"]) for row in found] == [
        (f"batch {batch}", rate) for batch, rate in rates.items()
    ]


@pytest.mark.parametrize(
    ("decode_s", "beside_s", "hidden"), [(2.0, 3.0, 0.0), (2.0, 2.0, 1.0), (2.0, 2.25, 0.75), (1.0, 2.25, 0.75)]
)
def test_shares_are_of_what_they_say(decode_s: float, beside_s: float, hidden: float) -> None:
    """Three seconds of passes and of the tokenizer: side by side they take as long as the longer at least."""
    seconds = {"decode": decode_s, "model": 0.95 * decode_s, "after": 3.0, "beside": beside_s}
    found = decode._compared({name: [Cost(value, value, value)] for name, value in seconds.items()})
    assert found["hidden"] == pytest.approx(hidden)
    assert found["overhead"] == found["process_overhead"] == pytest.approx(0.05)


@pytest.mark.slow
def test_a_tokenizer_decodes_beside_and_after() -> None:
    """Both ways are whole: the pixels of all latent frames."""
    (row,) = rows(Options(size="toy", patterns=("*tiny",), repeats=1, device=torch.device("cpu")))
    shorter = min(row["wall_s"], row["after_s"] - row["wall_s"])
    assert row["hidden"] == pytest.approx((row["after_s"] - row["beside_s"]) / shorter)
    assert row["overhead"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_the_static_cache_the_bits_are_the_same(guidance: float) -> None:
    """A naive forward, or a growing cache, that computed something else would be no baseline."""
    model = VideoAR(model_of(2, 32, 2)).eval()
    init_weights(model, 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(20)
    schedule, sampling = ScaleSchedule.named("48x48"), Sampling(guidance=Guidance.constant(guidance))
    text = np.arange(12).reshape(2, 6)
    how: dict[str, Any] = {"num_frames": 4, "window": 2, "seeds": (0, 1)}

    def cached(**how: Any) -> Tensor:
        frames = sample_frames(model, schedule, list(text), sampling, **how)
        return torch.stack([frame.bits for frame in frames], dim=1)

    assert torch.equal(naive_bits(model, schedule, text, sampling, **how), cached(**how))
    whole = {**how, "window": 4}
    assert torch.equal(cached(**whole, open_passes=growing), cached(**whole))
    assert not torch.equal(cached(**whole), cached(**how)), "a model that sees nothing of its past would show nothing"


@pytest.mark.parametrize("name", CASES["gpu"])
def test_weights_are_read_once_for_a_whole_batch(name: str) -> None:
    """In bf16 two bytes a weight: the passes of L read 30 x 1.8 GB, the figure that decoding is compared with."""
    case = CASES["gpu"][name]
    first = case.work()[0]
    per_weight = first.size_bytes / (case.model.num_layers * 16 * case.model.width**2)
    assert 2.0 < per_weight < 2.05
    assert len(case.work()) == case.passes + 1
