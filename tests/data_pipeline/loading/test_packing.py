"""The order of training: exact epochs, whole samples, weights, and a resume at any step."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.loading.packing import (
    WINDOW,
    LoaderState,
    PackPlan,
    PackSampler,
    StepPlan,
    deal,
    estimated_cost,
    first_fit,
    packs_once,
)
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.budget.attended_pairs import sample_pairs
from videoar.pretrain.model.vocabulary import BytesText
from videoar.tokenizer.scales import HistoryKind

from ..conftest import WriteDataset

TEXT = BytesText(16)


def sampler(
    manifests: list[Manifest], weights: list[float] | None = None, batch: int = 3, seed: int = 0
) -> PackSampler:
    return PackSampler(manifests, weights or [1.0] * len(manifests), 768, batch, seed, TEXT)


def steps(source: PackSampler, count: int, state: LoaderState | None = None) -> list[tuple[StepPlan, LoaderState]]:
    found = []
    state = state or LoaderState()
    for _ in range(count):
        step, state = source.next(state)
        found.append((step, state))
    return found


def test_every_sample_exactly_once_an_epoch(write_dataset: WriteDataset) -> None:
    """A sample lost or doubled at an epoch's or a window's edge would weigh wrongly forever."""
    manifest = write_dataset(count=100)
    source = sampler([manifest])
    walked = list(itertools.chain.from_iterable(source.order(number) for number in range(4)))
    assert len(walked) == 4 * WINDOW
    for epoch in range(40):
        assert sorted(i for _, i in walked[epoch * 100 : (epoch + 1) * 100]) == list(range(100))
    packed = Counter(e.key for n in range(4) for pack in source.window(n) for e in pack.entries)
    assert sum(packed.values()) == 4 * WINDOW
    assert max(packed.values()) - min(packed.values()) <= 1
    assert walked[:100] != walked[100:200], "epochs differ in order"


def test_packs_hold_whole_samples_within_their_length(write_dataset: WriteDataset) -> None:
    """First-fit must never overfill; a pack planned too long would not fit the layout."""
    source = sampler([write_dataset(count=40), write_dataset("images", count=40, num_frames=1)])
    packs = source.window(0)
    assert all(pack.num_tokens <= 768 for pack in packs)
    fill = sum(pack.num_tokens for pack in packs) / (768 * len(packs))
    assert fill > 0.95, f"first-fit should leave little padding, filled {fill:.3f}"


def test_packs_have_room_for_context_tokens(write_dataset: WriteDataset) -> None:
    """h w tokens follow every frame but the last: planned without them, a pack overflows in the trainer."""
    clips, images = write_dataset(count=40), write_dataset("images", count=40, num_frames=1)
    source = PackSampler([clips, images], [1.0, 1.0], 768, 3, 0, TEXT, "context")
    entry = clips.entries[0]
    assert entry.video_tokens("context") == entry.video_tokens() + (entry.num_frames - 1) * 16
    assert images.entries[0].video_tokens("context") == images.entries[0].video_tokens()
    for pack in (*source.window(0), *packs_once(clips, 768, TEXT, "context")):
        tokens = sum(one.video_tokens("context") for one in pack.entries)
        assert sum(pack.text_lengths) + tokens == pack.num_tokens <= 768


@pytest.mark.parametrize("history", ["scales", "context"])
def test_the_cost_of_a_pack_follows_its_tokens_and_pairs(write_dataset: WriteDataset, history: HistoryKind) -> None:
    """Packs are dealt by it: a cost that ignores what attention computes leaves processes waiting."""
    clips = write_dataset(count=2, num_frames=17, schedule="256x256").entries[:]
    pack = PackPlan(clips, (3, 5), history)
    pairs = sum(sample_pairs("256x256", 17, text, 16, 0.0, "full", history) for text in (3, 5))
    assert (estimated_cost(pack) - pack.num_tokens) * 16_384 == pytest.approx(pairs, rel=0.02)


def test_resume_is_exact_at_any_step(write_dataset: WriteDataset) -> None:
    """A state read from a checkpoint by a new process must give the steps of the straight run."""
    manifests = [write_dataset(count=30), write_dataset("images", count=20, num_frames=1)]
    straight = steps(sampler(manifests), 200)
    assert straight[-1][1].window >= 1, "the test should cross a window"
    for at in (0, 1, 57, 150, 198):
        resumed = steps(sampler(manifests), 2, straight[at][1])
        assert resumed[0] == straight[at + 1]


def test_mixture_follows_the_weights(write_dataset: WriteDataset) -> None:
    """Shares are exact over windows, for any sizes of the datasets, and even inside one."""
    source = sampler([write_dataset(count=10), write_dataset("images", count=50, num_frames=1)], [1.0, 3.0])
    for number in range(3):
        parts = [part for part, _ in source.order(number)]
        assert parts.count(0) == WINDOW // 4
        assert 20 <= parts[:100].count(0) <= 30


def test_seed_and_data_enter_the_hash_and_the_order(write_dataset: WriteDataset) -> None:
    """A state must be refused where the order is another: its hash has to tell."""
    manifest, other = write_dataset(count=30), write_dataset("other", count=30)
    base = sampler([manifest])
    assert base.hash == sampler([manifest]).hash
    variants = [sampler([manifest], seed=1), sampler([other]), sampler([manifest], batch=4)]
    variants.append(PackSampler([manifest], [1.0], 768, 3, 0, BytesText(2)))
    variants.append(PackSampler([manifest], [1.0], 768, 3, 0, TEXT, "context"))
    assert len({source.hash for source in [base, *variants]}) == 6
    assert sampler([manifest], seed=1).order(0) != base.order(0)


def test_a_sample_longer_than_a_pack_is_refused_at_construction(write_dataset: WriteDataset) -> None:
    """Found at step 40,000 it would cost a run; the message names bucket and length."""
    with pytest.raises(InputError, match="2 latent frames of 64x64"):
        PackSampler([write_dataset()], [1.0], 32, 1, 0, TEXT)


def test_weights_that_starve_a_part_are_refused(write_dataset: WriteDataset) -> None:
    """A share below one sample in a window could make the count of a part fall from window to window."""
    with pytest.raises(InputError, match="less than one sample"):
        sampler([write_dataset(), write_dataset("other")], [1.0, 1e-5])


@pytest.mark.parametrize("shares", [1, 2, 3, 6])
def test_deal_is_a_partition_of_equal_counts_and_balanced_cost(write_dataset: WriteDataset, shares: int) -> None:
    """Every pack goes to exactly one rank; dealt in order, clip packs would pile up on one and idle the rest."""
    clips = PackPlan(write_dataset(count=3, num_frames=17, schedule="256x256").entries[:], (1, 1, 1))
    images = PackPlan(write_dataset("i", count=51, num_frames=1, schedule="256x256").entries[:], (1,) * 51)
    packs = [clips, images] * 3
    hands = deal(packs, shares)
    assert sorted(itertools.chain.from_iterable(hands)) == list(range(6))
    assert {len(hand) for hand in hands} == {6 // shares}
    loads = [sum(estimated_cost(packs[i]) for i in hand) for hand in hands]
    if shares == 3:
        assert max(loads) / min(loads) < 1.01
    with pytest.raises(InputError, match="evenly"):
        deal(packs, 4)


def test_validation_packs_hold_every_sample_once(write_dataset: WriteDataset) -> None:
    """A mean over validation packs is a mean over the dataset only if nothing repeats."""
    manifest = write_dataset(count=37)
    packs = packs_once(manifest, 768, TEXT)
    assert sorted(e.key for pack in packs for e in pack.entries) == [e.key for e in manifest.entries]


def test_first_fit_is_the_first_pack_with_room() -> None:
    """Skipping packs that are full must not skip one that still has room for a shorter sample."""
    lengths = np.random.default_rng(0).integers(1, 40, 500)
    packs: list[list[int]] = []
    for index, length in enumerate(lengths):
        room = [pack for pack in packs if sum(lengths[i] for i in pack) + length <= 64]
        (room[0] if room else packs.append([]) or packs[-1]).append(index)
    assert first_fit(lengths, 64) == packs


def test_any_state_costs_one_window(write_dataset: WriteDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipping ahead by walking there would make a resume at step 10^6 take hours."""
    source, packed = sampler([write_dataset(count=30)]), []
    monkeypatch.setattr(source, "_pack", lambda order, pack=source._pack: packed.append(1) or pack(order))
    source.next(LoaderState(window=10**6, pack=1))
    assert len(packed) == 1
