"""What wrong history costs on held-out clips: drift of continuations, bits flipped on purpose, frames hidden.

It may import the rest of `evaluate`, the sampler, the batch, the model and the data.
"""
