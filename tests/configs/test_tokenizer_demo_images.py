from __future__ import annotations

from videoar.configs.demo import TRAINED
from videoar.configs.tokenizer_demo_images import recipe


def test_the_demo_s_held_out_time_is_not_seen() -> None:
    """The demo judges its generator on the last fifth of the films: a tokenizer that has seen it flatters the page."""
    films = [share.source for share in recipe().clips if share.source.kind != "shapes"]
    assert [source.end_fraction for source in films] == [TRAINED]
    assert {bucket.num_frames for bucket in recipe().train.buckets} == {1}
