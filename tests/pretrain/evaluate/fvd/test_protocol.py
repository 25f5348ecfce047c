"""Protocols: their fixed values, the choice of videos and clips, and signatures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.protocol import Protocol, named
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures

OMNI = named("omni17", split="test01")


def test_the_published_values() -> None:
    """Each differs from the others in what moves the number: frames, size, how they get it, counts, clip choice."""
    found = {name: named(name, split=split) for name, split in NAMES.items()}
    values = {
        name: (p.frames, p.height, p.width, p.count, p.clip, p.fit, p.resize, p.runs) for name, p in found.items()
    }
    assert values == {
        "tats": (16, 128, 128, 2048, "random", "crop", "bilinear", 1),
        "styleganv": (16, 256, 256, 2048, "random", "crop", "lanczos", 1),
        "magvit": (16, 128, 128, 10_000, "random", "crop", "bilinear", 4),
        "omni17": (17, 128, 128, 2048, "centre", "stretch", "bicubic", 1),
    }
    assert [found[name].split for name in ("tats", "magvit")] == ["train", "train"]


NAMES = {"tats": None, "styleganv": "all", "magvit": None, "omni17": "test01"}


def test_the_signature_has_all_that_moves_a_number() -> None:
    """Two numbers with equal lines may be compared; each field changes the line."""
    detector = RandomFeatures()
    sha = detector.sha256[:8]
    own = Protocol(frames=17, height=128, width=128, split="test01")
    expected = f"rf-fvd|det={sha}|T17|128|n2048x2048|split=test01|clip=centre|resize=bicubic|seed0|v2"
    assert own.signature(detector, 2048, 2048) == expected
    assert OMNI.signature(detector, 2048, 2048) == expected.replace("|128|", "|128-stretched|")
    others = [replace(own, frames=16), replace(own, width=256), replace(own, split="train"), replace(own, seed=1)]
    others += [replace(own, clip="first"), replace(own, fit="stretch"), replace(own, fps=8.0)]
    others += [replace(own, resize="lanczos"), replace(own, resize="bilinear")]
    lines = {protocol.signature(detector, 2048, 2048) for protocol in (own, *others)}
    lines |= {own.signature(detector, 100, 2048), own.signature(detector, 2048, 100)}
    assert len(lines) == 12
    assert any("|T17@8fps|" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("omni17", None, "split: is not fixed by protocol omni17"),
        ("tats", "test", "split=test: is not the real set of protocol tats"),
        ("custom", "test", "protocol=custom: has no fixed values"),
        ("styleganv", "a|b", "split=a|b: does not fit into a signature"),
        ("styleganv", "", "split='': does not fit into a signature"),
    ],
)
def test_what_does_not_fit_is_one_line(name: str, split: str | None, message: str) -> None:
    """A guessed split would be a wrong signature."""
    with pytest.raises(InputError) as caught:
        named(name, split=split)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_videos_are_chosen_at_random_without_repetition() -> None:
    """The seed fixes the choice; numbers past the end would be read as videos."""
    chosen = OMNI.choose(2121)
    assert len(set(chosen)) == len(chosen) == 2048
    assert set(chosen) < set(range(2121))
    assert chosen != sorted(chosen)
    assert chosen == OMNI.choose(2121) != replace(OMNI, seed=1).choose(2121)
    assert chosen[:4] == GOLDEN_ORDER, "a change of the stream changes published numbers"
    own = Protocol(frames=17, height=64, width=64, split="test")
    assert sorted(own.choose(10)) == list(range(10))
    assert own.choose(0) == []


GOLDEN_ORDER = [855, 921, 269, 1185]


def test_too_few_videos_are_not_drawn_again() -> None:
    """A repeated video adds no information, but a larger count looks better; only MAGVIT's protocol says so."""
    with pytest.raises(InputError, match="videos=2047: is fewer than the 2048 of protocol omni17"):
        OMNI.choose(2047)
    magvit = named("magvit")
    chosen = magvit.choose(9537)
    assert len(chosen) == 10_000
    assert sorted(chosen[:9537]) == list(range(9537)), "each is used once before any is used again"
    with pytest.raises(InputError, match="videos=0"):
        magvit.choose(0)


@pytest.mark.parametrize(("length", "start"), [(16, None), (17, 0), (18, 1), (19, 1), (100, 42), (101, 42)])
def test_the_central_clip_is_omnitokenizers(length: int, start: int | None) -> None:
    """Frames length//2 - 8 to length//2 + 8; of an even number, the last is left out."""
    assert OMNI.start(length) == start
    if length > 16:
        assert replace(OMNI, frames=16).start(length) == length // 2 - 8


def test_random_clips_are_anywhere_in_the_video() -> None:
    """And the same again; a repeated video gives another clip."""
    tats = named("tats")
    starts = [tats.start(20, number) for number in range(100)]
    assert set(starts) == {0, 1, 2, 3, 4}
    assert starts == [tats.start(20, number) for number in range(100)]
    assert starts != [replace(tats, seed=1).start(20, number) for number in range(100)]
    assert tats.start(15) is None
    assert replace(tats, clip="first").start(20) == 0
