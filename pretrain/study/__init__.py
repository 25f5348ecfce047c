"""An ablation study: what its arms are, what is measured of a trained arm, and how large the effects are.

`definition` says what a study is, `measure` gives per-clip sums, and `figures` and `effects` make figures with
intervals of them. It may import evaluate, generate, batch and model; it trains nothing.
"""
