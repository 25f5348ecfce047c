"""Pretraining: packs in, weights out. `train.py` is the loop; folders are its parts, `config.py` is what is trained.

Imports `data_pipeline`, `tokenizer` and `cluster.ground`. The order of its own parts is in pyproject.toml: the loop
stands on the engines, the engines on the batch, the batch on the model.
"""
