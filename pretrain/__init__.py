"""Pretraining: packs in, weights out. `train.py` is the loop; folders are its parts, `config.py` is what is trained.

Imports `data_pipeline`, `tokenizer` and `cluster.ground`. The order of its own parts is in pyproject.toml: the loop
uses the engines, the engines use the batch, and the batch uses the model.
"""
