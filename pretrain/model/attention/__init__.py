"""Attention over a pack: who attends to whom (`layout`), and the backends that compute it, behind `choose`.

Plain PyTorch for one device. It may import the tokenizer's scale schedules and the configuration.
"""

from videoar.pretrain.model.attention.backends import choose

__all__ = ["choose"]
