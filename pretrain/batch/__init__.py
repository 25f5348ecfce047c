"""From samples to one pack on the device: layout, corrupted inputs, targets and loss weights.

Everything random is a function of (seed, step, sample), so a resumed run repeats it exactly. Imports the model's
inputs and layout, the shards' samples and the tokenizer; nothing of the engines or the loop.
"""
