"""A small T5 encoder for the tests."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

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


def link_shards(shards: str, folder: Path) -> Path:
    """The datasets of a folder, as links: states of captions are stored next to them without changing the original."""
    for dataset in Path(shards).iterdir():
        if dataset.is_dir():
            (folder / dataset.name).mkdir(parents=True)
            for item in dataset.iterdir():
                (folder / dataset.name / item.name).symlink_to(item)
    return folder
