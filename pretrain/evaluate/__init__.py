"""How good weights are: bit accuracy compared with baselines, continuations compared with the true future, intervals.

It may import the sampler, the batch, the model and the data.
"""
