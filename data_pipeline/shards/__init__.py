"""The files of a prepared dataset: samples, tars, commits and manifest, as they are written and as they are read.

It may import storage, config and the tokenizer. Training and preparation both use it.
"""
