"""Fréchet video distance: detectors of features, the distance, protocols with signatures, and results with intervals.

It imports plain PyTorch, numpy and `cluster.ground` only, so that tokenizers and generators are measured alike.
"""
