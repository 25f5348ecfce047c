from __future__ import annotations

from videoar.configs.ucf101_l import recipe
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


def test_sixteen_clips_fill_a_pack() -> None:
    """Eight packs of 16 clips are the batch of 128: a longer pack would change it, a shorter one waste tokens."""
    (stage,) = recipe().stages
    bucket = recipe().data.datasets[0].bucket
    clip = 1 + latent_frames(bucket.num_frames) * ScaleSchedule.named(bucket.schedule).tokens_per_frame
    assert stage.tokens_per_pack // clip * stage.batch == 128
    assert stage.tokens_per_pack - 16 * clip < clip


def test_thirty_decoding_steps() -> None:
    """Table 3 counts 30 steps: six scales of five latent frames."""
    bucket = recipe().data.datasets[0].bucket
    assert ScaleSchedule.named(bucket.schedule).num_scales * latent_frames(bucket.num_frames) == 30
