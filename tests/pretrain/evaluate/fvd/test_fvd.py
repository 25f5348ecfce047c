"""The whole measure: what a result says, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.detector import ClipFeatures, Clips, Detector
from videoar.pretrain.evaluate.fvd.frechet import distance_of
from videoar.pretrain.evaluate.fvd.fvd import FvdResult, compare, features_of, fvd
from videoar.pretrain.evaluate.fvd.protocol import Protocol, named

SMALL = Protocol(frames=4, height=8, width=8, split="drawn")


class Corners(Detector):
    """The first pixels of a clip are its features."""

    name = "fvd"
    sha256 = "0123456789abcdef" * 4
    resize = "bilinear224"
    min_frames = 3
    min_side = 8

    def features(self, clips: Clips) -> ClipFeatures:
        return clips[:, :2, 0, 0, :2].reshape(len(clips), -1).astype(np.float64)


def clips(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 8, 8, 3), dtype=np.uint8)


def batches(whole: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from (whole[start : start + size] for start in range(0, len(whole), size))


def test_batches_do_not_matter() -> None:
    """Streams of any batch size give one number: that of all features at once."""
    real, made = clips(60, 1), clips(50, 2)
    detector = Corners()
    found = [fvd(batches(real, n), batches(made, m), detector, SMALL, resamples=5) for n, m in ((60, 50), (7, 3))]
    assert found[0].to_dict() == found[1].to_dict()
    assert float(found[0].distance.value) == distance_of(detector.features(real), detector.features(made))
    assert (
        found[0].signature == "fvd|det=01234567|T4|8|n60x50|split=drawn|clip=centre|resize=bicubic+bilinear224|seed0|v2"
    )


def test_few_clips_give_an_interval_and_a_warning_and_no_bare_number() -> None:
    """With 60 clips the number is mostly bias; whoever copies it into a table would not know."""
    result = fvd([clips(60, 1)], [clips(50, 2)], Corners(), SMALL, resamples=20)
    first, *warnings = str(result).splitlines()
    low, high = float(result.distance.low), float(result.distance.high)
    assert first.startswith(f"fvd between {low:.4g} and {high:.4g}")
    assert f"{float(result.distance.value):.4g}" not in str(result)
    assert result.extrapolated is not None
    assert "extrapolated" not in str(result)
    assert warnings == [
        "warning: 60 real and 50 generated clips are fewer than 2048: the distance is too high, and more so with "
        "fewer clips"
    ]
    assert json.loads(json.dumps(result.to_dict()))["warnings"] == list(result.warnings)


def enough(protocol: Protocol, num_real: int = 2048) -> FvdResult:
    generator = np.random.default_rng(0)
    return compare(
        generator.normal(size=(num_real, 3)), generator.normal(size=(2048, 3)) + 1, Corners(), protocol, resamples=20
    )


def test_enough_clips_give_the_number_with_its_interval() -> None:
    """No warning: a warning that is always there is not read."""
    result = enough(named("omni17", split="test01"))
    value, low, high = (float(getattr(result.distance, name)) for name in ("value", "low", "high"))
    assert str(result) == (
        f"fvd {value:.4g} [{low:.4g}, {high:.4g}], {result.extrapolated:.4g} extrapolated to infinitely many clips  "
        "fvd|det=01234567|T17|128-stretched|n2048x2048|split=test01|clip=centre|resize=bicubic+bilinear224|seed0|v2"
    )
    assert value == pytest.approx(3, rel=0.1)


def test_a_protocol_that_is_not_kept_is_named() -> None:
    """Its name would promise a comparison."""
    assert enough(named("omni17", split="a"), 4000).warnings == (
        "4000 real and 2048 generated clips were compared, but protocol omni17 uses 2048 of each",
    )
    assert "the mean of 4 such numbers" in enough(named("magvit")).warnings[-1]


def test_another_detector_says_that_it_is_no_fvd() -> None:
    """Random features must never be read as FVD."""
    detector = Corners()
    detector.name = "rf-fvd"
    result = fvd([clips(60, 1)], [clips(50, 2)], detector, SMALL, resamples=5)
    assert str(result).startswith("rf-fvd between ")
    assert "warning: rf-fvd is on random features: this is not an FVD and cannot be compared with one" in str(result)


@pytest.mark.parametrize(
    ("protocol", "given", "message"),
    [
        (SMALL, [np.zeros((2, 5, 8, 8, 3), np.uint8)], "real=5x8x8x3: is not the protocol's 4x8x8x3"),
        (SMALL, [], "real=0: is too few clips"),
        (SMALL, [clips(1, 0)], "real=1: is too few clips"),
        (Protocol(frames=4, height=8, width=8, split="a", count=3), [clips(2, 0)] * 2, "real=4: is more than the"),
        (Protocol(frames=2, height=8, width=8, split="a"), [], "protocol.frames=2: is too short for fvd"),
        (Protocol(frames=4, height=4, width=8, split="a"), [], "protocol.height x width=4x8: is too small for fvd"),
    ],
)
def test_clips_that_do_not_fit_are_one_line(protocol: Protocol, given: list[np.ndarray], message: str) -> None:
    """Before a number is made of them."""
    with pytest.raises(InputError) as caught:
        features_of(given, Corners(), protocol, "real")
    assert message in str(caught.value)


def test_features_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged weights would give a distance of NaN, or none at all."""
    monkeypatch.setattr(Corners, "features", lambda self, clips: np.full((len(clips), 2), np.nan))
    with pytest.raises(InputError, match="gives features that are not finite"):
        features_of([clips(5, 0)], Corners(), SMALL, "real")


def test_the_example_of_the_page_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    """It is copied; the numbers between are the machine's."""
    page = (Path(__file__).parents[4] / "docs" / "evaluation.md").read_text()
    program, text = re.findall(r"```(?:python|text)[^\n]*\n(.*?)```", page, re.DOTALL)[:2]
    exec(program, {})
    pattern = re.escape(text).replace("LOW", r"[\d.e-]+").replace("HIGH", r"[\d.e-]+")
    assert re.fullmatch(pattern, capsys.readouterr().out)
