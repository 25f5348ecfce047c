"""Captions as the states of a frozen T5: prepared once, exact in length, and never those of another encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.cluster.ground.process import World
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs.debug import recipe
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.text.states import StatesText, prepare_states
from videoar.data_pipeline.text.t5 import LiveText, T5Encoder
from videoar.pretrain.config import Recipe, TextConfig
from videoar.pretrain.data import make_sampler, open_datasets, open_text, prepare_data, with_encoder
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model.pretrained import read_config
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow

WIDTH = 24


def make_encoder(folder: Path, seed: int) -> Path:
    """A T5 encoder of random weights and a vocabulary of letters, as transformers saves them."""
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {chr(97 + i): 3 + i for i in range(26)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = T5Config(vocab_size=29, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0)
    T5EncoderModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("t5"), 0)


@pytest.fixture
def data(debug_data: str, tmp_path: Path) -> Path:
    """The debug recipe's shards, by links, so that the states of captions stored with them are only this test's."""
    for dataset in Path(debug_data).iterdir():
        if dataset.is_dir():
            (tmp_path / "data" / dataset.name).mkdir(parents=True)
            for item in dataset.iterdir():
                (tmp_path / "data" / dataset.name / item.name).symlink_to(item)
    return tmp_path / "data"


def with_t5(data: Path, encoder: Path) -> Recipe:
    base = recipe()
    text = TextConfig(kind="t5", path=str(encoder), max_tokens=16, width=WIDTH)
    return replace(base, model=replace(base.model, text=text), data=replace(base.data, url=str(data)))


def test_states_are_those_of_the_encoder(data: Path, encoder: Path) -> None:
    """A caption must find its own states, whole, whatever file they lie in; packs are planned by their length."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    prepare_states(manifest, opened, file_bytes=1)
    text = StatesText.open([manifest], "", 16, WIDTH)
    assert text.hash == opened.hash
    assert text.lengths(manifest.entries).tolist() == [text.length(entry) for entry in manifest.entries]
    for entry in manifest.entries:
        states = opened.encode([entry.caption])[0]
        found = text.tokens(entry)
        assert found.shape == (text.length(entry), WIDTH) == states.shape
        np.testing.assert_allclose(found.astype(np.float32), states.astype(np.float32), atol=2e-3)
    with pytest.raises(InputError, match=r"model\.text\.width=8"):
        StatesText.open([manifest], "", 16, 8)


def test_captions_of_a_plan_without_shards(encoder: Path, tmp_path: Path) -> None:
    """A run on a plan is conditioned as one on its shards: the states are stored with the plan."""
    base = with_t5(tmp_path / "none", encoder)
    planned = prepare_data(replace(base, data=replace(base.data, url="", online=True)), tmp_path, World())
    manifests = open_datasets(planned)
    text = open_text(planned, manifests)
    for manifest in manifests.values():
        assert len(text.tokens(manifest.entries[0])) == text.lengths(manifest.entries)[0]


def test_empty_and_long_captions(encoder: Path) -> None:
    """Every sample has a prefix, and none is longer than the null table."""
    opened = T5Encoder(encoder, 5)
    assert [len(states) for states in opened.encode(["", "a", "a b c d e f g h"])] == [1, 2, 5]


def test_a_pass_that_was_stopped_goes_on(data: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of captions take hours: what is encoded is not encoded again."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    folder = Path(prepare_states(manifest, opened, file_bytes=1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "text.json").unlink()
    monkeypatch.setattr(opened, "encode", lambda texts: pytest.fail("it was encoded already"))
    prepare_states(manifest, opened, file_bytes=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_another_encoder_and_damaged_states_are_refused(data: Path, encoder: Path, tmp_path: Path) -> None:
    """States of another encoder are noise to the weights; the message shows what met what."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    with pytest.raises(InputError, match="videoar data text"):
        StatesText.open([manifest], "", 16, WIDTH)
    folder = Path(prepare_states(manifest, opened))
    other = make_encoder(tmp_path / "other", 1)
    other_hash = T5Encoder(other, 16).hash
    assert other_hash != opened.hash
    with pytest.raises(InputError, match=f"{other_hash}.*{opened.hash}"):
        StatesText.open([manifest], other_hash, 16, WIDTH)
    with pytest.raises(InputError, match=f"{other_hash}.*{opened.hash}"):
        LiveText(other, 16, opened.hash, "cpu")
    raw = bytearray((folder / "000000.safetensors").read_bytes())
    raw[-3] ^= 1
    (folder / "000000.safetensors").write_bytes(raw)
    text = StatesText.open([manifest], opened.hash, 16, WIDTH)
    with pytest.raises(CorruptShard, match=r"000000\.safetensors"):
        [text.tokens(entry) for entry in manifest.entries]


def test_a_run_on_states_trains_resumes_exports_and_generates(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The encoder's hash must reach checkpoint and export, and a prompt must go through that encoder alone."""
    conditioned = with_t5(data, encoder)
    (tmp_path / "recipe.yaml").write_text(to_yaml(conditioned))
    assert main(["data", "text", str(tmp_path / "recipe.yaml")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = T5Encoder(encoder, 16).hash
    assert {line["encoder_hash"] for line in lines} == {expected}
    run = tmp_path / "run"
    away = replace(conditioned, model=replace(conditioned.model, text=replace(conditioned.model.text, path="/gone")))
    train(away, run)
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3)
    assert losses[-1] < losses[0]
    out = export(run, tmp_path / "weights")
    assert read_config(out).model.text.encoder_hash == expected
    pipeline = VideoPipeline.from_pretrained(out, text_encoder=encoder)
    one, other = (pipeline(prompt, num_frames=1, guidance=1.0).frames for prompt in ("a red square", "zzz"))
    assert one.shape == other.shape
    with pytest.raises(InputError, match=expected):
        VideoPipeline.from_pretrained(out, text_encoder=make_encoder(tmp_path / "other", 1))("a red square")
    datasets = open_datasets(away)
    assert with_encoder(away, datasets).model.text.encoder_hash == expected
    assert make_sampler(away, away.stages[0], datasets).hash
    assert open_text(away, datasets)
