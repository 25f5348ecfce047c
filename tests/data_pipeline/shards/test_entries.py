"""The columns of a manifest are its entries."""

from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.model.vocabulary import BytesText, LabelText, WordsText

from ..conftest import WriteDataset


def test_columns_are_the_entries(write_dataset: WriteDataset) -> None:
    """Packs take lengths from columns and samples one by one: both must be what a walk over all of them shows."""
    entries = write_dataset(count=40).entries
    walked = list(entries)
    assert [entries[i] for i in range(40)] == walked == list(entries[:])
    assert entries[-1] == walked[-1]
    assert entries[3:30:5] == tuple(walked[3:30:5])
    for history in ("scales", "context"):
        assert entries.video_tokens(history).tolist() == [entry.video_tokens(history) for entry in walked]
    bits, latents = sum(entry.size_bytes for entry in walked), sum(entry.latent_bytes or 0 for entry in walked)
    assert latents > bits, "there are latents"
    assert (entries.payload_bytes(latents=False), entries.payload_bytes(latents=True)) == (bits, bits + latents)
    for text in (BytesText(4), WordsText(9, ("a",)), LabelText(3)):
        assert text.lengths(entries).tolist() == [text.length(entry) for entry in walked]
    with pytest.raises(InputError, match="0 to 1"):
        LabelText(2).lengths(entries)
    with pytest.raises(IndexError):
        entries[40]
