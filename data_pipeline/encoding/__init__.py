"""Planned clips as pixels, and pixels as the bytes of samples.

It may import planning, sources, shards, decoding, config and the tokenizer. It does not depend on Ray or on training.
"""
