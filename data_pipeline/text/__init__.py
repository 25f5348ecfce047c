"""Captions and labels as what the model is conditioned on: bytes, labels, or states of a T5 encoder.

`tokens.py` needs no library, `states.py` reads and writes prepared states, only `t5.py` imports transformers.
May import `shards`, `storage`, `config`.
"""
