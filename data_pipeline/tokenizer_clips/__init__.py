"""Training clips of a tokenizer: drawn at random from films and pictures, each a function of (seed, step, number).

`batches` is what the training loop calls; `ahead` makes the clips of coming steps in threads. Each kind of source has
its maker: `drawn`, `held` (a few films in memory) and `decoded` (any number of files). May import planning, sources,
decoding, config and the tokenizer.
"""
